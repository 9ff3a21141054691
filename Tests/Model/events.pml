/* What has to happen in a search for it to mean anything: counted by the verifier outside the state. check fails
 * when an event that a configuration asks for was never seen, so that a model which does nothing cannot pass.
 */

#define EVENTS(event) \
  event(hit) event(fill_accepted) event(fill_refused) event(parked) event(batch_acknowledged) event(claimed) \
  event(batch_refused) event(late_batch_refused) event(late_batch_taken) event(reply_lost) \
  event(acknowledged_by_watermark) event(second_delete) event(settled_behind_applied) event(failover) \
  event(lineage_break) event(rewound) event(restarted) event(taken_over) event(stream_lost) \
  event(watermark_rewritten) event(gap) event(collapsed) event(flush_done) event(flush_end_refused) event(flush_resumed) \
  event(confirmed) event(at_rest)

#define SEEN(name) c_code { seen_##name++; }

#define DECLARE_EVENT(name) static unsigned long seen_##name;
#define REPORT_EVENT(name) printf("event %s %lu\n", #name, seen_##name);
c_decl { EVENTS(DECLARE_EVENT) }
c_code { static void report_events(void) { EVENTS(REPORT_EVENT) } }
