/* The promise: once cdcd has said that T is settled (what /wait answers), no read of the key on the current Redis
 * primary returns a value of a snapshot that excludes T.
 *
 * `promised` is part of Redis' history: what cdcd has said while it knew this history. A failover takes it back to
 * what had been said at the moment to which Redis came back; what was said since holds again when cdcd has noticed
 * the loss and says it again (contract, The promise: "a detected loss of Redis history delays it").
 */

#define EXCLUDES(position) (value != ABSENT && (KEY_OF & UP_TO(position) & ~value) != 0)

proctype Onlooker() {
  do
  :: atomic { EXCLUDES(promised) ->
       printf("A reader: hit with (T1%c T2%c): STALE, T1..T%d were said to be settled\n", SIGNS(value), promised);
       assert(!EXCLUDES(promised)) }
#ifdef WATERMARK_IS_TRUE
  /* Stronger: what a restart would believe is true as well, said or not. */
  :: atomic { watermark != 0 && !marks[watermark].flush && EXCLUDES(marks[watermark].settled) ->
       printf("The watermark says that T1..T%d are settled, and the key holds (T1%c T2%c)\n",
         marks[watermark].settled, SIGNS(value));
       assert(false) }
#endif
  /* At rest everything is settled, so that by the promise the cache holds the newest value or none. */
  :: timeout ->
     SEEN(at_rest);
     printf("At rest: promised T1..T%d\n", promised);
     assert(promised == TRANSACTIONS);
     break
  od
}
