/* cdcd: Sources/Invalidation/Engine, for one key, one rule and one Redis target. The names are the Engine's where it
 * has one: resume, lineage_broke, close_batch, reset_stream.
 */

byte kills = 0;
byte takeovers = 0;
byte stream_losses = 0;
byte heartbeats = 0;
byte collapses = 0;

/* The connection to Redis (RedisTarget.Link). JUDGED: waits for the slot, while the stream is not started. */
#define DOWN 0
#define ASKING 1
#define JUDGED 2
#define READY 3
#define MISMATCHED 4
#define OUT_OF_WORK 5      /* another instance has the slot, and this one's history is void */

/* The flush that is open (FlushState.Phase). */
#define NO_FLUSH 0
#define NEEDS_TRANSACTION 1
#define WAITING 2
#define LEASES 3
#define LEASES_ASKED 4
#define VALUES 5
#define VALUES_ASKED 6
#define NEEDS_WAL_END 7
#define WAITING_FOR_REPLICA 8

#ifdef NO_BARRIER
#define CLEARED waiting
#else
#define CLEARED (waiting & visible)
#endif

/* Their replies are read as well. */
#ifdef WATERMARK_APART
#define DELETES_ARE_SENT len(apart[me]) == 0
#else
#define DELETES_ARE_SENT true
#endif

#define FLOOR(set) (((set) & 1) -> 0 : (((set) & 2) -> 1 : TRANSACTIONS))
#define LESSER(one, other) ((one) < (other) -> (one) : (other))

/* What /wait answers (EngineStatus.claimable): streaming, the watermark judged, no flush open here or in the watermark. */
inline claim() {
  if
  :: streaming && link == READY && !flush_open && !marks[acked[me]].flush && known == lineage && settled > promised ->
     promised = settled;
     SEEN(claimed);
     printf("cdcd %d: says that T1..T%d are settled\n", me, settled)
  :: else -> skip
  fi
}

inline send(kind_of_request, parameter) {
  assert(len(requests[me]) < QUEUE);
  if
  :: line[me] != SEVERED -> requests[me]!kind_of_request,parameter
  :: else -> skip
  fi;
  outstanding++
}

/* Forgets the connection. What was sent on it may still arrive, and replies on it never will. */
inline give_up_connection() {
  line[me] = CLOSED;
  do
  :: len(requests[me]) > 0 ->
     requests[me]?kind,number;
     if
     :: kind == GET || kind == SCAN_LEASES || kind == SCAN_VALUES -> skip
     :: else -> assert(len(late[me]) < QUEUE); late[me]!kind,number
     fi
  :: len(replies[me]) > 0 -> replies[me]?kind,answer,tag; SEEN(reply_lost)
#ifdef WATERMARK_APART
  :: len(apart[me]) > 0 -> apart[me]?number
#endif
  :: len(requests[me]) == 0 && len(replies[me]) == 0 && DELETES_ARE_SENT -> break
  od;
  kind = 0; number = 0; answer = 0; tag = 0;
  outstanding = 0;
  unbroken = 0;
  if
  :: flush >= LEASES && flush <= VALUES_ASKED -> flush = LEASES
  :: else -> skip
  fi;
  link = DOWN
}

inline ask() {
  if
  :: !chain ->
#if NEW_SLOT
     if
     :: !slot_exists ->
        slot_exists = 1;
        slot = wal;
        created = 1;
        printf("cdcd %d: makes the slot at %d\n", me, slot)
     :: else -> skip
     fi;
#endif
     known_slot = slot
  :: else -> skip
  fi;
  send(GET, 0);
  link = ASKING
}

/* Forgets what the stream will bring again, and goes on after the last position that was taken into a batch. */
inline reset_stream() {
#if REPLICA
  if
  :: open -> close_batch() /* Second deletes among them would not come again. */
  :: else -> skip
  fi;
#endif
  received = ledger;
  finished = UP_TO(ledger);
  waiting = 0;
  open = 0;
  owes = 0;
  if
  :: flush_open -> flush = NEEDS_TRANSACTION; second_round = 0; another_round = 0; goal = 0; again = 0
  :: else -> skip
  fi
}

inline forget_chain() {
  chain = 0;
  streaming = 0;
  received = 0; finished = 0; waiting = 0; second = 0; open = 0; owes = 0;
  acked[me] = 0; tip[me] = 0; settled = 0; identity = 0; known = 0; unbroken = 0;
  flush_open = 0; flush = NO_FLUSH; second_round = 0; another_round = 0; goal = 0; again = 0;
  do
  :: len(in_flight[me]) > 0 -> in_flight[me]?_
  :: len(in_flight[me]) == 0 -> break
  od
}

/* Redis does not hold what was acknowledged: everything is judged anew. */
inline lineage_broke() {
  SEEN(lineage_break);
  printf("cdcd %d: the watermark is %d, neither the acknowledged %d nor one in flight: a break\n",
    me, found[me], acked[me]);
  forget_chain();
  if
  :: holder == me -> holder = NOBODY; ask()
  :: holder != me && me == takeovers -> ask()
  :: else -> give_up_connection(); ledger = 0; found[me] = 0; link = OUT_OF_WORK
  fi
}

/* Where the stream starts, and whether a gap is open (Watermark.judge, planStart). */
inline judge() {
  if
  :: created || found[me] == 0 -> plan = known_slot; gap = 1; SEEN(gap)
  :: !created && found[me] != 0 && marks[found[me]].settled < known_slot -> plan = known_slot; gap = 1; SEEN(gap)
  :: else ->
#ifdef RESTART_AT_APPLIED
     plan = marks[found[me]].applied;
#else
     plan = marks[found[me]].settled;
#endif
     gap = marks[found[me]].flush;
     if
     :: gap -> SEEN(flush_resumed)
     :: else -> skip
     fi
  fi;
  link = JUDGED;
  printf("cdcd %d: the watermark is %d: resume at %d, gap %d\n", me, found[me], plan, gap)
}

inline begin_chain() {
  if
  :: me > 0 -> SEEN(taken_over)
  :: else -> skip
  fi;
  if
  :: plan < ledger -> SEEN(rewound)
  :: else -> skip
  fi;
  holder = me;
  streaming = 1;
  chain = 1;
  received = plan; finished = UP_TO(plan); ledger = plan; settled = plan;
  tip[me] = (tip[me] == 0 -> found[me] : tip[me]);
  acked[me] = tip[me];
  identity = tag; known = tag;
  owes = 1;
  if
  :: gap -> flush_open = 1; flush = NEEDS_TRANSACTION
  :: else -> skip
  fi;
  plan = 0; gap = 0; created = 0; found[me] = 0; tag = 0; known_slot = 0;
  printf("cdcd %d: streams after %d\n", me, received);
  /* Another instance may have written between the judgement and now. */
#if defined(UNCONDITIONAL) || defined(NO_WATERMARK)
  link = READY
#else
  ask()
#endif
}

/* The oldest batch is in Redis. */
inline acknowledge_first() {
  in_flight[me]?number;
  acked[me] = number;
  settled = marks[number].settled;
  SEEN(batch_acknowledged);
  if
  :: settled < marks[number].applied -> SEEN(settled_behind_applied)
  :: else -> skip
  fi
}

/* Redis says `found` on a connection that is judged while the chain stands. */
inline resume() {
  intact = 1;
  in_doubt = found[me] != 0 && marks[found[me]].flush;
  count = len(in_flight[me]);
  do
  :: count > 0 ->
     in_flight[me]?number;
     in_doubt = in_doubt || marks[number].flush || marks[number].ends;
     in_flight[me]!number;
     count--
  :: count == 0 -> break
  od;
  number = 0;
  if
#ifdef NO_WATERMARK
  :: true -> skip
#endif
  /* What the flush deleted may be back, and no watermark tells. */
  :: tag != identity && in_doubt -> intact = 0
  :: !(tag != identity && in_doubt) ->
     if
     :: found[me] == acked[me] -> skip
     :: found[me] != acked[me] && in_flight[me]??[eval(found[me])] ->
        SEEN(acknowledged_by_watermark);
        do
        :: acked[me] != found[me] -> acknowledge_first()
        :: acked[me] == found[me] -> break
        od
     :: found[me] != acked[me] && found[me] == 0 && unbroken && tag == identity ->
        SEEN(watermark_rewritten);
        printf("cdcd %d: the watermark was evicted, and is written again\n", me);
        send(REPAIR, acked[me])
     :: else -> intact = 0
     fi
  fi;
  number = 0;
  if
  :: !intact -> lineage_broke()
  :: else ->
     identity = tag;
     known = tag;
     unbroken = 1;
     link = READY;
     /* What is in flight is sent again. */
     count = len(in_flight[me]);
     do
     :: count > 0 ->
        in_flight[me]?number;
        in_flight[me]!number;
        send_batch(number);
        count--
     :: count == 0 -> break
     od;
     number = 0;
     claim()
  fi;
  intact = 0;
  in_doubt = 0
}

inline send_batch(which) {
#ifdef WATERMARK_APART
  if
  :: marks[which].deletes -> apart[me]!which
  :: else -> skip
  fi;
#endif
  send(BATCH, which)
}

inline close_batch() {
#ifdef PAST_PARKED
  ledger = received;
#else
  ledger = PREFIX(finished);
#endif
  new_mark();
  marks[number].previous = tip[me];
  marks[number].applied = ledger;
  marks[number].settled = LESSER(ledger, FLOOR(second));
#ifndef FLUSH_NOT_RECORDED
  marks[number].flush = flush_open;
#endif
  if
  :: marks[tip[me]].flush && !marks[number].flush ->
     marks[number].ends = 1;
     marks[number].history = identity
  :: else -> skip
  fi;
  marks[number].deletes = open;
  tip[me] = number;
  if
  :: waiting -> SEEN(parked)
  :: else -> skip
  fi;
  printf("cdcd %d: batch %d: deletes%c, applied %d, settled %d, flush %d\n", me, number,
    (open -> '+' : '-'), ledger, marks[number].settled, marks[number].flush);
  open = 0;
  owes = 0;
  assert(len(in_flight[me]) <= PIPELINE);
  in_flight[me]!number;
  if
  :: link == READY -> send_batch(number)
  :: else -> skip
  fi;
  number = 0
}

/* The batch whose watermark tells of the flush goes before a SCAN (Engine.mayScan). */
#if defined(FLUSH_UNANNOUNCED) || defined(FLUSH_NOT_RECORDED)
#define OPENING_IS_SENT true
#else
#define OPENING_IS_SENT (marks[tip[me]].flush)
#endif

#define BETWEEN_ROUNDS (flush == NEEDS_WAL_END || flush == WAITING_FOR_REPLICA)

/* FlushState.request: a job that is past its question does not cover what is asked for now. */
inline request_flush() {
  if
  :: !flush_open -> flush_open = 1; flush = NEEDS_TRANSACTION; owes = 1
  :: flush_open && BETWEEN_ROUNDS -> flush = NEEDS_TRANSACTION; second_round = 0; goal = 0
  :: flush_open && flush != NEEDS_TRANSACTION && !BETWEEN_ROUNDS -> again = 1
  :: else -> skip
  fi
}

/* A flush takes over from second deletes: its second round is enough (Engine.coverAgain). */
inline collapse_second_deletes() {
  second = 0;
  if
  :: !flush_open -> flush_open = 1; second_round = 1; flush = NEEDS_WAL_END
  /* One that is under way goes on as it is, and another follows. */
  :: flush_open && second_round && flush != NEEDS_WAL_END -> another_round = 1
  :: else -> skip
  fi;
  owes = 1
}

inline flush_round_done() {
#if REPLICA
  if
  :: !second_round || another_round -> second_round = 1; another_round = 0; flush = NEEDS_WAL_END
  :: else ->
#endif
  second_round = 0;
  goal = 0;
  owes = 1;
  if
  :: again -> again = 0; flush = NEEDS_TRANSACTION
  :: else ->
     flush = NO_FLUSH;
     flush_open = 0;
     SEEN(flush_done);
     printf("cdcd %d: the flush is done\n", me);
     claim()
  fi
#if REPLICA
  fi
#endif
}

inline batch_replied() {
  if
  :: link == READY ->
     in_flight[me]?<number>;
     if
     :: answer == marks[number].previous ->
        acknowledge_first();
        known = tag;
        printf("cdcd %d: batch %d is acknowledged\n", me, number);
        claim()
     :: else ->
        SEEN(batch_refused);
        printf("cdcd %d: batch %d found the watermark %d\n", me, number, answer);
        found[me] = answer;
        link = MISMATCHED
     fi
  :: else -> skip
  fi
}

inline replied() {
  replies[me]?kind,answer,tag;
  outstanding--;
  if
  :: kind == BATCH -> batch_replied()
  :: kind == GET ->
     found[me] = answer;
     if
     :: chain -> resume(); found[me] = 0; tag = 0
     :: else -> judge()
     fi
  :: kind == SCAN_LEASES && flush == LEASES_ASKED && answer -> send(UNLINK_LEASES, 0)
  :: kind == SCAN_LEASES && flush == LEASES_ASKED && !answer -> flush = VALUES
  :: kind == UNLINK_LEASES && flush == LEASES_ASKED -> flush = VALUES
  :: kind == SCAN_VALUES && flush == VALUES_ASKED && answer -> send(UNLINK_VALUES, 0)
  :: kind == SCAN_VALUES && flush == VALUES_ASKED && !answer -> flush_round_done()
  :: kind == UNLINK_VALUES && flush == VALUES_ASKED -> flush_round_done()
  :: else -> skip
  fi;
  if
  :: link == MISMATCHED && outstanding == 0 ->
#ifdef UNCONDITIONAL
     /* What was there before this instance's own value tells where to go on. */
     answer = tip[me];
     SEEN(lineage_break);
     forget_chain();
     tip[me] = answer;
     holder = (holder == me -> NOBODY : holder);
     judge()
#else
     found[me] = 0;
     ask()
#endif
  :: else -> skip
  fi;
  kind = 0; number = 0; answer = 0;
  if
  :: link != JUDGED -> tag = 0
  :: else -> skip
  fi
}

proctype Daemon(byte me) {
  byte link = DOWN;
  byte outstanding;        /* replies that are still to come on this connection */
  bit unbroken;            /* no connection was lost since the last judgement */
  bit chain;               /* what Redis holds was judged, and this instance goes on from it (Engine.continuity) */
  bit streaming;           /* believes that the slot is its own */
  byte received;           /* transactions 1..received have come */
  byte waiting;            /* those at the barrier */
  byte finished;           /* those whose keys are in batches, and all before the start (Ledger) */
  byte ledger;             /* the contiguous prefix that the last closed batch took */
  byte second;             /* those whose key has to be deleted once more (SecondDeletes) */
  bit open, owes;          /* the key is in the open batch; the watermark is to move */
  byte settled;            /* what the acknowledged watermark says */
  byte identity;           /* the lineage at the last judgement */
  byte known;              /* the lineage of the last reply */
  bit flush_open, second_round, another_round, again;
  byte flush, goal;
  byte plan, known_slot;
  bit gap, created, intact, in_doubt;
  mtype kind;
  byte number, answer, tag, count;
  short used;
  byte dead;

  do
  /* Redis */
  :: atomic { link == DOWN && me <= takeovers -> line[me] = STANDS; ask() }
  :: atomic { link != DOWN && line[me] != STANDS && line[me] != CLOSED ->
       printf("cdcd %d: its connection to Redis is lost\n", me);
       give_up_connection() }
  :: atomic { link != DOWN && len(replies[me]) > 0 && DELETES_ARE_SENT -> replied() }
  :: atomic { link == READY && chain && (open || owes) && len(in_flight[me]) < PIPELINE -> close_batch() }
  :: atomic { link == READY && streaming && !open && !owes && len(in_flight[me]) == 0 &&
       (heartbeats < HEARTBEATS || known != lineage) ->
       if
       :: known == lineage -> heartbeats++
       :: else -> skip
       fi;
       close_batch() }

  /* The source */
  :: atomic { link == JUDGED && slot <= plan && holder == NOBODY && takeovers == me -> begin_chain() }
  :: atomic { link == JUDGED && slot > plan -> link = READY; ask() }
  :: atomic { streaming && holder == me && received < wal ->
       received++;
       if
#if TRUNCATE
       :: received == 2 ->
          SEEN(gap);
          printf("cdcd %d: receives T2, a TRUNCATE, and is to flush\n", me);
          request_flush();
          finished = finished | BIT(2)
#endif
       :: !TRUNCATE || received < 2 ->
          waiting = waiting | BIT(received);
          printf("cdcd %d: receives T%d\n", me, received)
       fi }
  :: atomic { streaming && CLEARED ->
       if
       :: CLEARED & 1 -> number = 1
       :: !(CLEARED & 1) -> number = 2
       fi;
       waiting = waiting & ~BIT(number);
       finished = finished | BIT(number);
       open = open || (KEY_OF & BIT(number));
       owes = 1;
#if REPLICA && !defined(NO_SECOND_DELETE)
       second = second | (KEY_OF & BIT(number));
#endif
       printf("cdcd %d: T%d has passed the barrier\n", me, number);
       number = 0 }
#if CONFIRMS
  :: atomic { streaming && holder == me && link == READY && settled > slot ->
       slot = settled;
       SEEN(confirmed);
       printf("cdcd %d: confirms %d to the slot\n", me, slot) }
#endif
#if REPLICA
  :: atomic { streaming && second && ((second & UP_TO(replayed)) != 0) ->
       second = second & ~UP_TO(replayed);
       open = 1;
       owes = 1;
       SEEN(second_delete);
       printf("cdcd %d: second deletes up to T%d\n", me, replayed) }
#if COLLAPSES
  :: atomic { streaming && second && collapses < COLLAPSES ->
       collapses++;
       SEEN(collapsed);
       printf("cdcd %d: second deletes collapse into a flush\n", me);
       collapse_second_deletes() }
#endif
#endif

  /* The flush */
  :: atomic { streaming && flush == NEEDS_TRANSACTION -> 
#ifndef NO_FLUSH_BARRIER
       goal = UP_TO(wal);
#endif
       flush = WAITING }
  :: atomic { streaming && flush == WAITING && (visible & goal) == goal -> flush = LEASES; goal = 0 }
  :: atomic { link == READY && flush == LEASES && OPENING_IS_SENT -> flush = LEASES_ASKED; send(SCAN_LEASES, 0) }
  :: atomic { link == READY && flush == VALUES && OPENING_IS_SENT -> flush = VALUES_ASKED; send(SCAN_VALUES, 0) }
#if REPLICA
  :: atomic { streaming && flush == NEEDS_WAL_END -> goal = wal; flush = WAITING_FOR_REPLICA }
  :: atomic { streaming && flush == WAITING_FOR_REPLICA && replayed >= goal -> flush = LEASES; goal = 0 }
#endif

  /* What may go wrong with cdcd */
#if TAKEOVERS
  :: atomic { me == 0 && holder == me && takeovers == 0 ->
       takeovers = 1;
       holder = NOBODY;
       printf("PostgreSQL: instance 0 is frozen, and its slot is free\n");
#if ASLEEP
       if
       :: link == READY && (open || owes) && len(in_flight[me]) < PIPELINE -> close_batch()
       :: true -> skip
       fi;
       give_up_connection();
       forget_chain();
       ledger = 0; found[me] = 0;
       link = OUT_OF_WORK;
#endif
       skip }
  :: atomic { streaming && holder != me ->
       printf("cdcd %d: has lost the slot\n", me);
       reset_stream();
       streaming = 0 }
#endif
#if STREAM_LOSSES
  :: atomic { streaming && holder == me && stream_losses < STREAM_LOSSES ->
       stream_losses++;
       SEEN(stream_lost);
       printf("cdcd %d: the stream breaks, and goes on after %d\n", me, ledger);
       reset_stream() }
#endif
#if KILLS
  :: atomic { kills < KILLS && link != DOWN ->
       kills++;
       SEEN(restarted);
       printf("cdcd %d: KILLED, and started again\n", me);
       give_up_connection();
       forget_chain();
       ledger = 0; found[me] = 0; plan = 0; known_slot = 0; gap = 0; created = 0; flush = NO_FLUSH;
       if
       :: holder == me -> holder = NOBODY
       :: else -> skip
       fi }
#endif
  od
}
