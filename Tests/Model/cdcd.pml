/* The protocol of contract.md, sections 1 to 5, for one cache key and a few transactions, readers and faults.
 * Tests/Model/check runs it; README.md says which part stands for what, and what is left out.
 *
 * A configuration sets the numbers below, which bound the search. A known-bad variant is the same model with one
 * more define, named in check: NAIVE_SET, NO_BARRIER and so on. Everything else is every interleaving.
 */

#ifndef READERS
#define READERS 2          /* clients that fill the cache by the lease protocol */
#endif
#ifndef ATTEMPTS
#define ATTEMPTS 1         /* fills that each of them tries */
#endif
#ifndef REPLICA
#define REPLICA 0          /* 1: a declared read replica, from which readers may take their snapshot */
#endif
#ifndef FAILOVERS
#define FAILOVERS 0        /* how often Redis comes back without the end of its history */
#endif
#ifndef WHOLE_HISTORY
#define WHOLE_HISTORY 0    /* 1: it loses everything since the beginning, instead of any part */
#endif
#ifndef UNBROKEN
#define UNBROKEN 0         /* 1: a failover may leave the connection, and what is on its way, intact */
#endif
#ifndef LOSSES
#define LOSSES 0           /* connections to Redis that break, with commands and replies on the way */
#endif
#ifndef KILLS
#define KILLS 0            /* kill -9 of cdcd, which is then started again */
#endif
#ifndef TAKEOVERS
#define TAKEOVERS 0        /* 1: a second instance takes the slot from the first, frozen at any point */
#endif
#ifndef ASLEEP
#define ASLEEP 0           /* 1: of the frozen one, only what it has sent or was about to send comes late */
#endif
#ifndef STREAM_LOSSES
#define STREAM_LOSSES 0    /* replication connections that break */
#endif
#ifndef EVICTIONS
#define EVICTIONS 0        /* evictions of the watermark */
#endif
#ifndef HEARTBEATS
#define HEARTBEATS 0       /* heartbeats that change nothing; one that can notice a lost history always comes */
#endif
#ifndef NEW_SLOT
#define NEW_SLOT 0         /* 1: the first start makes the slot: what was committed before is never streamed */
#endif
#ifndef CONFIRMS
#define CONFIRMS 0         /* 1: the slot follows the settled position, so that a failover may need WAL that is gone */
#endif

#ifndef TRUNCATE
#define TRUNCATE 0         /* 1: T2 is a TRUNCATE, which is answered by a flush */
#endif
#ifndef COLLAPSES
#define COLLAPSES 0        /* second deletes that outgrow their limits, so that a flush takes over */
#endif
#ifndef OTHER_KEY
#define OTHER_KEY 0        /* 1: T2 changes another key: a batch moves the watermark and leaves the key alone */
#endif

#define TRANSACTIONS 2
#define KEY_OF (OTHER_KEY -> 1 : 3)
#define INSTANCES (1 + TAKEOVERS)
#define PIPELINE 2         /* batches in flight */
#define QUEUE 5            /* commands on their way on one connection */
#define MARKS 12           /* watermark values at a time; an assertion says when they are too few */

#define ABSENT 7           /* the cache holds nothing for the key */
#define NOBODY 7           /* no instance holds the slot */

#define BIT(transaction) (1 << ((transaction) - 1))
#define UP_TO(position) ((1 << (position)) - 1)
#define PREFIX(set) (((set) & 1) -> (((set) & 2) -> 2 : 1) : 0)

#define SIGN(set, transaction) (((set) & BIT(transaction)) -> '+' : '-')
#define SIGNS(set) SIGN(set, 1), SIGN(set, 2)

#include "events.pml"
#include "postgres.pml"
#include "redis.pml"
#include "reader.pml"
#include "daemon.pml"
#include "faults.pml"
#include "property.pml"

init {
  atomic {
    c_code { atexit(report_events); };
    byte number;
#if NEW_SLOT
    slot_exists = 0;
#else
    /* An earlier run has left its watermark, and the slot stands there. */
    watermark = 1;
    marks_used = 2;
#endif
    /* From before both transactions. It may expire at once, so that this is an empty cache too. */
    value = 0;
#if FAILOVERS
    kept.value = value;
    kept.lease = lease;
    kept.watermark = watermark;
#endif
    run Postgres();
    run Faults();
    number = 1;
    do
    :: number <= READERS -> run Reader(number); number++
    :: else -> break
    od;
    number = 0;
    do
    :: number < INSTANCES -> run Connection(number); run Daemon(number); number++
    :: else -> break
    od;
    run Onlooker();
    number = 0
  }
}
