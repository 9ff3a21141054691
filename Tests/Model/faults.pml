/* What may go wrong with Redis at any moment. Kills, frozen instances and lost streams are in daemon.pml. */

/* A failover breaks the connection and drops what is on its way; with UNBROKEN it may do neither: a proxy in between,
 * or a server that was demoted and promoted again.
 */
inline break_connection(which) {
  if
  :: line[which] = (line[which] == CLOSED -> CLOSED : SEVERED);
     do
     :: len(requests[which]) > 0 -> requests[which]?_,_
     :: len(late[which]) > 0 -> late[which]?_,_
     :: len(requests[which]) == 0 && len(late[which]) == 0 -> break
     od
#if UNBROKEN
  :: line[which] == STANDS -> printf("Network: the connection of instance %d survives it\n", which)
  :: line[which] != STANDS || len(late[which]) > 0 -> skip
#endif
  fi
}

proctype Faults() {
  byte instance;
  do
  :: atomic { lease != 0 -> lease = 0; printf("Redis: the lease expires, or is evicted\n") }
  :: atomic { value != ABSENT -> value = ABSENT; printf("Redis: the value expires, or is evicted\n") }
#if LOSSES
  :: atomic { losses < LOSSES ->
       if
       :: line[0] == STANDS -> instance = 0
#if TAKEOVERS
       :: line[1] == STANDS -> instance = 1
#endif
       fi;
       losses++;
       line[instance] = BROKEN;
       printf("Network: the connection of instance %d to Redis breaks\n", instance);
       instance = 0 }
#endif
#if EVICTIONS
  :: atomic { evictions < EVICTIONS && watermark != 0 ->
       evictions++;
       watermark = 0;
       printf("Redis: the watermark is evicted\n") }
#endif
#if FAILOVERS
#if !WHOLE_HISTORY
  :: atomic { !has_kept && failovers < FAILOVERS ->
       has_kept = 1;
       kept.value = value;
       kept.lease = lease;
       kept.watermark = watermark;
       kept.promised = promised;
       printf("Redis: its replica, or its dump, has this much of the history: watermark %d\n", watermark) }
#endif
  :: atomic { failovers < FAILOVERS ->
       failovers++;
       lineage++;
       value = kept.value;
       lease = kept.lease;
       watermark = kept.watermark;
       promised = kept.promised;
       kept.value = 0; kept.lease = 0; kept.watermark = 0; kept.promised = 0;
       has_kept = 0;
       SEEN(failover);
       if
       :: value != ABSENT ->
          printf("Redis: FAILOVER, back at watermark %d with the value (T1%c T2%c) and lease %d\n",
            watermark, SIGNS(value), lease)
       :: else -> printf("Redis: FAILOVER, back at watermark %d without a value, lease %d\n", watermark, lease)
       fi;
       break_connection(0);
#if TAKEOVERS
       break_connection(1);
#endif
       skip }
#endif
  od
}
