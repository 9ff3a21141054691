/* A client that fills the cache by the lease protocol (contract 2). It stops or is slow between any two steps. */

inline take_snapshot() {
  if
  :: snapshot = visible;
     printf("Reader %d: snapshot on the primary (T1%c T2%c)\n", me, SIGNS(snapshot))
#if REPLICA
  :: snapshot = UP_TO(replayed);
     printf("Reader %d: snapshot on the replica (T1%c T2%c)\n", me, SIGNS(snapshot))
#endif
  fi
}

proctype Reader(byte me) {
  byte attempts, token, snapshot;
  do
  :: attempts < ATTEMPTS ->
#ifdef OLD_SNAPSHOT
     atomic { take_snapshot() };
#endif
     /* get */
     do
     :: atomic { value != ABSENT -> SEEN(hit) }
     :: atomic { value == ABSENT && lease == 0 ->
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
