/* A client that fills the cache by the lease protocol (contract 2). It stops or is slow between any two steps. */

inline take_snapshot() {
  if
  :: snapshot = visible & KEY_OF;
     printf("Reader %d: snapshot on the primary (T1%c T2%c)\n", me, SIGNS(snapshot))
#if REPLICA
  :: snapshot = UP_TO(replayed) & KEY_OF;
     printf("Reader %d: snapshot on the replica (T1%c T2%c)\n", me, SIGNS(snapshot))
#endif
  fi
}

/* Readers are alike: they are numbered in the order of their first lease. */
byte begun = 0;

proctype Reader(byte me) {
  byte attempts, token, snapshot;
  do
  :: attempts < ATTEMPTS && (attempts > 0 || begun == me - 1) ->
#ifdef OLD_SNAPSHOT
     atomic { take_snapshot() };
#endif
     /* get */
     do
     :: atomic { value != ABSENT -> SEEN(hit) }
     :: atomic { value == ABSENT && lease == 0 ->
          if
          :: attempts == 0 -> begun++
          :: else -> skip
          fi;
          attempts++;
#ifdef PER_CLIENT_TOKEN
          token = 1;
#else
          token = me + READERS * (attempts - 1);
#endif
          lease = token;
          printf("Reader %d: miss, has the lease with token %d\n", me, token);
          break }
     od;
#ifndef OLD_SNAPSHOT
     atomic { take_snapshot() };
#endif
     /* fill */
     atomic {
       if
#ifdef NAIVE_SET
       :: true ->
#else
       :: lease == token ->
#endif
          value = snapshot;
          lease = 0;
          SEEN(fill_accepted);
          printf("Reader %d: fills the key with (T1%c T2%c)\n", me, SIGNS(snapshot))
       :: else ->
          SEEN(fill_refused);
          printf("Reader %d: its fill is refused\n", me)
       fi;
       token = 0;
       snapshot = 0 }
  :: attempts == ATTEMPTS -> break
  od
}
