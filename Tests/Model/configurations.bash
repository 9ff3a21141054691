# What Tests/Model/check runs. Sourced. A name is a test.
# shellcheck shell=bash disable=SC2034

# The shipped protocol, which has to hold: "bounds" and the events that have to happen in the search (events.pml).
# READERS is 2, and everything else none, unless it says otherwise.
declare -A shipped=() events=()
order=()

# Usage: holds NAME "BOUNDS" "EVENTS"
holds() {
  order+=("$1")
  shipped[$1]=$2
  events[$1]="hit fill_accepted fill_refused batch_acknowledged claimed at_rest $3"
}

holds three-readers "READERS=3 HEARTBEATS=1" "parked"
holds two-attempts "ATTEMPTS=2" ""
holds lease-then-key "READERS=3 LEASE_FIRST" ""
holds killed "KILLS=1" "restarted reply_lost late_batch_taken late_batch_refused"
holds connection-lost "LOSSES=1 HEARTBEATS=1" \
  "reply_lost acknowledged_by_watermark batch_refused late_batch_taken late_batch_refused"
holds watermark-evicted "EVICTIONS=1" "batch_refused watermark_rewritten"
holds replica "REPLICA=1" "second_delete settled_behind_applied"
holds replica-stream-lost "REPLICA=1 STREAM_LOSSES=1" "second_delete settled_behind_applied stream_lost"
holds replica-killed "REPLICA=1 KILLS=1 OTHER_KEY=1 READERS=1" "second_delete settled_behind_applied restarted"
holds replica-collapsed "REPLICA=1 COLLAPSES=2 READERS=1" "second_delete settled_behind_applied collapsed flush_done"
holds failover "FAILOVERS=1" "failover lineage_break rewound reply_lost"
holds failover-unbroken "FAILOVERS=1 UNBROKEN=1 LOSSES=1 OTHER_KEY=1 READERS=1" \
  "failover lineage_break rewound reply_lost batch_refused acknowledged_by_watermark late_batch_refused"
holds new-slot "NEW_SLOT=1" "gap flush_done"
holds truncate-killed "TRUNCATE=1 KILLS=1 READERS=1" "gap flush_done flush_resumed restarted"
holds truncate-failover "TRUNCATE=1 FAILOVERS=1 READERS=1" "gap flush_done flush_resumed failover lineage_break"
holds history-lost "NEW_SLOT=1 FAILOVERS=1 CONFIRMS=1 READERS=1" \
  "gap flush_done flush_resumed confirmed failover lineage_break"
holds history-lost-unbroken "NEW_SLOT=1 FAILOVERS=1 CONFIRMS=1 READERS=1 UNBROKEN=1" \
  "gap flush_done flush_resumed flush_end_refused failover lineage_break"
holds frozen "TAKEOVERS=1 ASLEEP=1 FAILOVERS=1 WHOLE_HISTORY=1 UNBROKEN=1 OTHER_KEY=1 READERS=1" \
  "taken_over failover lineage_break late_batch_refused late_batch_taken"

# Known-bad variants, which have to fail: the same model and bounds as a shipped one, and one more define.
declare -A variant_of=() define_of=() about=()

# Usage: breaks NAME SHIPPED DEFINE "WHAT IS WRONG"
breaks() {
  order+=("$1")
  variant_of[$1]=$2
  define_of[$1]=$3
  about[$1]=$4
}

breaks naive-set three-readers NAIVE_SET "readers fill by a plain SET"
breaks no-barrier three-readers NO_BARRIER "keys are deleted on receipt, visible or not"
breaks key-then-lease three-readers KEY_FIRST "key and lease are deleted by two commands, the key first"
breaks per-client-token three-readers PER_CLIENT_TOKEN "a client's fills share one token"
breaks older-snapshot three-readers OLD_SNAPSHOT "the reader's snapshot is older than its lease"
breaks past-parked three-readers PAST_PARKED "the watermark passes a transaction that is not visible"
breaks replica-without-second-delete replica NO_SECOND_DELETE "replica readers, and only the primary's barrier"
breaks restart-at-applied replica-killed RESTART_AT_APPLIED "a restart resumes at the applied position"
breaks watermark-apart killed WATERMARK_APART "the watermark goes on another connection than the deletes"
breaks no-watermark failover NO_WATERMARK "a failover is not judged by a watermark in Redis"
breaks unconditional-lost-reply failover-unbroken UNCONDITIONAL "the watermark is overwritten, and the reply is lost"
breaks unconditional-frozen frozen UNCONDITIONAL "a frozen instance's late batch overwrites the watermark"
breaks flush-not-recorded truncate-killed FLUSH_NOT_RECORDED "a kill during a flush that the watermark does not tell"
breaks flush-unannounced truncate-failover FLUSH_UNANNOUNCED "a flush begins before the watermark tells of it"
breaks flush-end-anywhere history-lost-unbroken FLUSH_END_ANYWHERE \
  "the batch that ends a flush is taken by a history that has lost its deletes"
breaks flush-without-barrier new-slot NO_FLUSH_BARRIER "a flush does not wait for running transactions"
