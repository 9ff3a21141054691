/* The Redis primary: the key, its lease and cdcd's watermark, and the connections of cdcd's instances. */

byte value = ABSENT;       /* the set of transactions that the cached value includes, or ABSENT */
byte lease = 0;            /* the token of the lease, 0 when there is none */
byte watermark = 0;        /* index into `marks`, 0 when there is none */
byte promised = 0;         /* what cdcd has said to be settled in this history (property.pml) */

byte lineage = 0;          /* changes with every failover, as run_id or master_replid do */
byte failovers = 0;
byte losses = 0;
byte evictions = 0;

#if FAILOVERS
typedef History { byte value; byte lease; byte watermark; byte promised };
History kept;              /* an earlier moment of the history, to which a failover leads back */
bit has_kept = 0;
#endif

/* Every batch is one MULTI: deletes, then a compare-and-set from `previous` to its own index (contract 3). The one that
 * ends a flush is refused by any history but the one whose keys the flush has walked
 * (BatchEncoder.compareAndSetOnHistory).
 */
typedef Mark { byte previous; byte applied; byte settled; bit flush; bit deletes; bit ends; byte history };
#define OTHER_HISTORY 250
Mark marks[MARKS];
byte marks_used = 1;

mtype = { BATCH, GET, REPAIR, SCAN_LEASES, UNLINK_LEASES, SCAN_VALUES, UNLINK_VALUES };

/* The connection of each instance. What was sent on a broken one may still come; on a severed one it never does. */
#define STANDS 0
#define BROKEN 1
#define SEVERED 2
#define CLOSED 3
byte line[INSTANCES] = CLOSED;
chan requests[INSTANCES] = [QUEUE] of { mtype, byte };
/* Sent on a connection that its instance has given up, and still on its way. */
chan late[INSTANCES] = [QUEUE] of { mtype, byte };
/* Kind, what it says, and the lineage that said it. */
chan replies[INSTANCES] = [QUEUE] of { mtype, byte, byte };
/* The watermark of the last acknowledged, and of the last closed batch, of each instance, and the one it judges. */
byte acked[INSTANCES], tip[INSTANCES], found[INSTANCES];
/* Closed batches that are not acknowledged, the oldest first. */
chan in_flight[INSTANCES] = [PIPELINE + 1] of { byte };
#ifdef WATERMARK_APART
/* The deletes go on a connection of their own. */
chan apart[INSTANCES] = [3] of { byte };
#endif

inline delete_key() { value = ABSENT; }
inline delete_lease() { lease = 0; }

/* What a batch that may still be executed builds on has to stay different from everything else, too. */
#define QUEUED(which, number) (in_flight[which]??[eval(number)] || \
  requests[which]??[BATCH,eval(number)] || late[which]??[BATCH,eval(number)])
#define MENTIONED(which, number) (acked[which] == number || tip[which] == number || found[which] == number || \
  requests[which]??[REPAIR,eval(number)] || late[which]??[REPAIR,eval(number)] || \
  replies[which]??[BATCH,eval(number),0] || replies[which]??[BATCH,eval(number),1] || \
  replies[which]??[GET,eval(number),0] || replies[which]??[GET,eval(number),1])
#if TAKEOVERS
#define QUEUED_ANYWHERE(number) (QUEUED(0, number) || QUEUED(1, number))
#define MENTIONED_ANYWHERE(number) (MENTIONED(0, number) || MENTIONED(1, number))
#else
#define QUEUED_ANYWHERE(number) QUEUED(0, number)
#define MENTIONED_ANYWHERE(number) MENTIONED(0, number)
#endif
#if FAILOVERS
#define IN_REDIS(number) (watermark == number || kept.watermark == number)
#else
#define IN_REDIS(number) (watermark == number)
#endif

#define LOWER(number) number = (number > dead -> number - 1 : number)

inline lower_in_channels(which) {
  count = len(in_flight[which]);
  do
  :: count > 0 -> in_flight[which]?number; LOWER(number); in_flight[which]!number; count--
  :: else -> break
  od;
  count = len(requests[which]);
  do
  :: count > 0 -> requests[which]?kind,number; LOWER(number); requests[which]!kind,number; count--
  :: else -> break
  od;
  count = len(late[which]);
  do
  :: count > 0 -> late[which]?kind,number; LOWER(number); late[which]!kind,number; count--
  :: else -> break
  od;
  count = len(replies[which]);
  do
  :: count > 0 ->
     replies[which]?kind,number,tag;
     if
     :: kind == BATCH || kind == GET -> LOWER(number)
     :: else -> skip
     fi;
     replies[which]!kind,number,tag;
     count--
  :: else -> break
  od;
  LOWER(acked[which]);
  LOWER(tip[which]);
  LOWER(found[which])
}

/* The mark `dead`, which nobody can meet any more, goes; those behind it move up. */
inline remove_mark() {
  lower_in_channels(0);
#if TAKEOVERS
  lower_in_channels(1);
#endif
  LOWER(watermark);
#if FAILOVERS
  LOWER(kept.watermark);
#endif
  number = dead;
  do
  :: number + 1 < marks_used ->
     marks[number].previous = marks[number + 1].previous;
     marks[number].applied = marks[number + 1].applied;
     marks[number].settled = marks[number + 1].settled;
     marks[number].flush = marks[number + 1].flush;
     marks[number].deletes = marks[number + 1].deletes;
     marks[number].ends = marks[number + 1].ends;
     marks[number].history = marks[number + 1].history;
     number++
  :: else -> break
  od;
  marks_used--;
  marks[marks_used].previous = 0;
  marks[marks_used].applied = 0;
  marks[marks_used].settled = 0;
  marks[marks_used].flush = 0;
  marks[marks_used].deletes = 0;
  marks[marks_used].ends = 0;
  marks[marks_used].history = 0;
  number = 1;
  do
  :: number < marks_used -> LOWER(marks[number].previous); number++
  :: else -> break
  od
}

/* `number` becomes a new watermark value. Values only have to differ from each other, so those that nobody can meet
 * any more are taken out and the others close up: without this there were as many states as ways to reach them.
 */
inline new_mark() {
  d_step {
    used = 1;
    number = 1;
    do
    :: number < marks_used ->
       if
       :: QUEUED_ANYWHERE(number) -> used = used | (1 << number) | (1 << marks[number].previous)
       :: else ->
          marks[number].previous = 0;
          marks[number].deletes = 0;
          if
          :: IN_REDIS(number) || MENTIONED_ANYWHERE(number) -> used = used | (1 << number)
          :: else -> skip
          fi
       fi;
       number++
    :: else -> break
    od;
    dead = marks_used - 1;
    do
    :: dead > 0 ->
       if
       :: used & (1 << dead) -> skip
       :: else -> remove_mark()
       fi;
       dead--
    :: else -> break
    od;
    assert(marks_used < MARKS);
    number = marks_used;
    marks_used++;
    kind = 0; tag = 0; count = 0; used = 0
  }
}

#define DELETES(kind, number) (kind == BATCH && marks[number].deletes)

/* `answer` becomes the watermark of before. */
inline compare_and_set(number) {
  answer = watermark;
  if
#if defined(UNCONDITIONAL) || defined(NO_WATERMARK)
  :: true -> watermark = number
#else
#ifdef FLUSH_END_ANYWHERE
#define ANOTHER_HISTORY false
#else
#define ANOTHER_HISTORY (marks[number].ends && marks[number].history != lineage)
#endif
  :: ANOTHER_HISTORY -> answer = OTHER_HISTORY; SEEN(flush_end_refused)
  :: !ANOTHER_HISTORY && watermark == marks[number].previous -> watermark = number
#endif
  :: else -> skip
  fi
}

/* One command, or one MULTI. */
inline execute() {
  if
  :: kind == BATCH ->
#if !defined(WATERMARK_APART) && !defined(KEY_FIRST) && !defined(LEASE_FIRST)
     if
     :: marks[number].deletes -> delete_lease(); delete_key()
     :: else -> skip
     fi;
#endif
     compare_and_set(number);
     printf("Redis: batch %d of instance %d: deletes%c, watermark was %d (batch %d builds on %d) and is %d\n",
       number, me, (marks[number].deletes -> '+' : '-'), answer, number, marks[number].previous, watermark)
  :: kind == GET -> answer = watermark
  :: kind == REPAIR ->
     if
     :: watermark == 0 -> watermark = number
     :: else -> skip
     fi
  :: kind == SCAN_LEASES -> answer = (lease != 0)
  :: kind == UNLINK_LEASES -> delete_lease(); printf("Redis: the flush deletes the lease\n")
  :: kind == SCAN_VALUES -> answer = (value != ABSENT)
  :: kind == UNLINK_VALUES -> delete_key(); printf("Redis: the flush deletes the key\n")
  fi
}

/* One connection. What an instance has given up may still come, in order, up to any point. */
proctype Connection(byte me) {
  mtype kind;
  byte number, answer;
  do
  :: atomic { requests[me]?kind,number;
#if defined(KEY_FIRST) || defined(LEASE_FIRST)
       /* Commands of their own instead of one MULTI. */
       if
       :: !DELETES(kind, number) -> skip
       :: DELETES(kind, number) ->
#ifdef KEY_FIRST
          delete_key(); printf("Redis: the key is deleted\n")
#else
          delete_lease(); printf("Redis: the lease is deleted\n")
#endif
       fi
     };
     atomic {
       if
       :: !DELETES(kind, number) -> skip
       :: DELETES(kind, number) ->
#ifdef KEY_FIRST
          delete_lease(); printf("Redis: the lease is deleted\n")
#else
          delete_key(); printf("Redis: the key is deleted\n")
#endif
       fi
     };
     atomic {
#endif
       execute();
       if
       :: line[me] == STANDS -> replies[me]!kind,answer,lineage
       :: else -> skip
       fi;
       kind = 0; number = 0; answer = 0 }
  :: atomic { late[me]?kind,number;
       printf("Redis: late, on a connection that instance %d has given up:\n", me);
       execute();
       if
       :: kind == BATCH && watermark != number -> SEEN(late_batch_refused)
       :: kind == BATCH && watermark == number -> SEEN(late_batch_taken)
       :: else -> skip
       fi;
       kind = 0; number = 0; answer = 0 }
  :: atomic { len(late[me]) > 0 ->
       do
       :: late[me]?kind,number
       :: len(late[me]) == 0 -> break
       od;
       kind = 0;
       number = 0;
       printf("Network: what instance %d had sent on it never comes\n", me) }
#ifdef WATERMARK_APART
  :: atomic { apart[me]?number ->
       delete_lease();
       delete_key();
       printf("Redis: the deletes of batch %d of instance %d, on their own connection\n", number, me);
       number = 0 }
#endif
  od
}
