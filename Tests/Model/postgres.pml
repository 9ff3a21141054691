/* PostgreSQL. Two transactions change two rows from which the key's value is computed, so that a value is the set of
 * the transactions that its snapshot includes. Their numbers are their order in the WAL (contract 1).
 */

byte wal = 0;              /* commit records of transactions 1..wal are flushed, and sent to cdcd */
byte visible = 0;          /* the transactions that a snapshot on the primary sees: in any order, and late */
byte replayed = 0;         /* transactions 1..replayed are what a snapshot on the replica sees */

bit slot_exists = 1;
byte slot = 0;             /* the confirmed position: nothing at or before it is streamed again */
byte holder = NOBODY;      /* the instance whose replication connection has the slot */

proctype Postgres() {
  byte transaction;
  do
  :: atomic { wal < TRANSACTIONS ->
       wal++;
       printf("PostgreSQL: the commit record of T%d is flushed\n", wal) }
  :: atomic { visible != UP_TO(wal) ->
       if
       :: !(visible & 1) -> transaction = 1
       :: wal == 2 && !(visible & 2) -> transaction = 2
       fi;
       visible = visible | BIT(transaction);
       printf("PostgreSQL: T%d is visible\n", transaction);
       transaction = 0 }
#if REPLICA
  :: atomic { replayed < wal ->
       replayed++;
       printf("Replica: has replayed T%d\n", replayed) }
#endif
  od
}
