import struct
import time

import psycopg2
import redis
from psycopg2.extras import LogicalReplicationConnection

from application import key_of
from judge import APPLICATION, BYPASS, CRASHED
from remedies.remedy import Remedy


class CDCDeletes(Remedy):
    """Change data capture alone: a consumer of logical replication deletes the keys of each transaction as soon as
    it receives it, and confirms only what it has deleted. Nothing is lost, whoever wrote it. Readers fill with SET.
    """

    name = "cdc"
    title = "CDC deletes alone"
    hears_of = {APPLICATION, CRASHED, BYPASS}
    has_consumer = True
    consumer_commands = ("del",)
    reconnect_seconds = 0.1

    def prepare(self, lab):
        lab.sql("CREATE PUBLICATION lab FOR TABLE items")
        lab.sql("SELECT pg_create_logical_replication_slot('lab', 'pgoutput')")

    def clean_up(self, lab):
        lab.drop_slot("lab")
        lab.sql("DROP PUBLICATION lab")

    def consume(self, lab, ready):
        cache = redis.Redis.from_url(lab.settings.redis_url)
        while True:
            try:
                connection = psycopg2.connect(
                    lab.settings.postgres_url, connection_factory=LogicalReplicationConnection
                )
                cursor = connection.cursor()
                options = {"proto_version": "1", "publication_names": "lab"}
                cursor.start_replication("lab", options=options, decode=False, status_interval=1)
                ready.set()
                cursor.consume_stream(Invalidator(cache))
            except psycopg2.Error:
                time.sleep(self.reconnect_seconds)


class Invalidator:
    """Reads pgoutput (protocol 1) as far as an update of `items` needs it: the id is the table's first column."""

    def __init__(self, cache):
        self._cache = cache
        self._keys = set()

    def __call__(self, message):
        kind = message.payload[:1]
        if kind == b"U":
            self._keys.add(key_of(first_column_of_update(message.payload)))
        elif kind == b"C":
            if self._keys:
                self._cache.delete(*self._keys)
            self._keys.clear()
            (end_of_commit,) = struct.unpack_from(">Q", message.payload, 10)
            message.cursor.send_feedback(flush_lsn=end_of_commit)


def first_column_of_update(payload):
    # 'U', relation (4 bytes), 'N', number of columns (2 bytes), then for each column 't', length (4 bytes), text.
    # An old row comes before 'N' only when the key changed or the replica identity is full; neither happens here.
    if payload[5:6] != b"N" or payload[8:9] != b"t":
        raise ValueError(f"not an update that this consumer knows: {payload[:9]!r}")
    (length,) = struct.unpack_from(">I", payload, 9)
    return payload[13 : 13 + length].decode()
