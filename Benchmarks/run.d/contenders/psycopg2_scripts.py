"""What a good engineer writes in a hundred lines of Python: the peers to beat. Each once as one would write it, and
twice with what we learnt about walsenders since."""

from contenders.contender import PEERS, PUBLICATION, Contender


class Psycopg2Pgoutput(Contender):
    name = "psycopg2-pgoutput"
    title = "psycopg2, pgoutput"
    tuning = (
        "peers/invalidate_from_pgoutput.py: reads until nothing more has arrived, parses with precompiled structs,"
        " sends a pipeline of up to 4,000 UNLINKs with redis-py and hiredis, and confirms each second what is deleted."
        " No barrier, no leases, no position beside the deletes."
    )
    script = "invalidate_from_pgoutput.py"
    arguments = (PUBLICATION,)

    def command(self, backlog):
        addresses = self.place.addresses
        script = PEERS / self.script
        return [self.place.python, script, addresses.postgres, addresses.redis, self.slot, *self.arguments]


class Psycopg2PgoutputGulps(Psycopg2Pgoutput):
    name = "psycopg2-pgoutput-gulps"
    title = "psycopg2, pgoutput, in gulps"
    tuning = (
        "The same, but when nothing more has arrived it sleeps for 1 ms and reads again before it deletes, which a user"
        " pays for with that much latency; and all keys of a round are in one UNLINK."
    )
    arguments = (PUBLICATION, "gulps")
    # With little to read it does as the other.
    has_latency = False


class Psycopg2PgoutputNarrow(Psycopg2PgoutputGulps):
    name = "psycopg2-pgoutput-narrow"
    title = "psycopg2, pgoutput, narrow"
    tuning = (
        "As in gulps, with a receive buffer of 80 KiB, as cdcd has where the server is near, and 12 ms of sleep: better for"
        " small transactions, worse for a huge one, which it receives and parses in turn."
    )
    arguments = (PUBLICATION, "narrow")


class Psycopg2Wal2json(Psycopg2Pgoutput):
    name = "psycopg2-wal2json"
    title = "psycopg2, wal2json"
    tuning = (
        "peers/invalidate_from_wal2json.py: the same loop with wal2json's format 2, without types and transactions, and"
        " parsed with orjson."
    )
    plugin = "wal2json"
    script = "invalidate_from_wal2json.py"
    arguments = ()


class Psycopg2Wal2jsonGulps(Psycopg2Wal2json):
    name = "psycopg2-wal2json-gulps"
    title = "psycopg2, wal2json, in gulps"
    tuning = "As with pgoutput."
    arguments = ("gulps",)
    has_latency = False


class Psycopg2Wal2jsonNarrow(Psycopg2Wal2jsonGulps):
    name = "psycopg2-wal2json-narrow"
    title = "psycopg2, wal2json, narrow"
    arguments = ("narrow",)
