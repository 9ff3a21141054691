"""A careful script that deletes users:{id} in Redis when a row of public.users changes: pgoutput through psycopg2,
parsed with struct. Usage: invalidate_from_pgoutput.py POSTGRES REDIS SLOT PUBLICATION [gulps|narrow]"""

import struct
import sys

import psycopg2
from psycopg2.extras import LogicalReplicationConnection

from invalidation import Invalidation, follow, in_gulps

RELATION = struct.Struct(">xI")
TUPLE = struct.Struct(">xH")  # After the kind of tuple: K, O or N.
LENGTH = struct.Struct(">xI")  # After the kind of column: n, u, t.
IS_KEY = 1


class Decoder:
    """Turns pgoutput's messages, protocol 1, into ids."""

    def __init__(self, table, column):
        self._table, self._column = table, column
        # Which column is the wanted one, by the relation's number.
        self._positions = {}

    def ids(self, message):
        """Those of the old and of the new row."""
        kind = message[0]
        if kind in b"UDI":
            (relation,) = RELATION.unpack_from(message)
            position = self._positions.get(relation)
            return () if position is None else self._ids_of_tuples(message, position)
        if kind == ord("R"):
            self._learn(message)
        return ()

    def _ids_of_tuples(self, message, position):
        offset, ids = 5, []
        while True:
            _, value = self._column_at(message, offset, position)
            ids.append(value)
            if message[offset] == ord("N") or message[0] == ord("D"):
                return ids
            offset = self._end_of_tuple(message, offset)

    def _column_at(self, message, offset, position):
        offset += TUPLE.size
        for _ in range(position):
            offset = self._end_of_column(message, offset)
        start = offset + LENGTH.size
        end = start + LENGTH.unpack_from(message, offset)[0]
        return end, message[start:end]

    def _end_of_tuple(self, message, offset):
        (count,) = TUPLE.unpack_from(message, offset)
        offset += TUPLE.size
        for _ in range(count):
            offset = self._end_of_column(message, offset)
        return offset

    def _end_of_column(self, message, offset):
        if message[offset] in b"nu":
            return offset + 1
        return offset + LENGTH.size + LENGTH.unpack_from(message, offset)[0]

    def _learn(self, message):
        (relation,) = RELATION.unpack_from(message)
        schema_end = message.index(b"\0", 5)
        name_end = message.index(b"\0", schema_end + 1)
        name = (message[5:schema_end] + b"." + message[schema_end + 1 : name_end]).decode()
        self._positions.pop(relation, None)
        if name != self._table:
            return
        (count,) = struct.unpack_from(">xH", message, name_end + 1)
        offset = name_end + 4
        for position in range(count):
            end = message.index(b"\0", offset + 1)
            if message[offset + 1 : end].decode() == self._column:
                self._positions[relation] = position
            offset = end + 9


def main():
    postgres, redis_url, slot, publication, *gulps = sys.argv[1:]
    connection = psycopg2.connect(postgres, connection_factory=LogicalReplicationConnection)
    linger_seconds = in_gulps(gulps[0] if gulps else None, connection)
    cursor = connection.cursor()
    options = {"proto_version": "1", "publication_names": publication}
    cursor.start_replication(slot_name=slot, decode=False, options=options)
    decoder = Decoder("public.users", "id")
    follow(cursor, decoder.ids, Invalidation(redis_url, in_one_command=bool(gulps)), linger_seconds=linger_seconds)


if __name__ == "__main__":
    main()
