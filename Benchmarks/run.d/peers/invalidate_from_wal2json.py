"""A careful script that deletes users:{id} in Redis when a row of public.users changes: wal2json through psycopg2.
Usage: invalidate_from_wal2json.py POSTGRES REDIS SLOT [gulps|narrow]"""

import sys

import orjson
import psycopg2
from psycopg2.extras import LogicalReplicationConnection

from invalidation import Invalidation, follow, in_gulps

OPTIONS = {
    "format-version": "2",
    "include-types": "false",
    "include-transaction": "false",
    "add-tables": "public.users",
    "actions": "insert,update,delete",
}


def ids(message):
    """Those of the old and of the new row."""
    change = orjson.loads(message)
    found = []
    for image in ("identity", "columns"):
        for column in change.get(image, ()):
            if column["name"] == "id":
                value = b"%d" % column["value"]
                if value not in found:
                    found.append(value)
                break
    return found


def main():
    postgres, redis_url, slot, *gulps = sys.argv[1:]
    connection = psycopg2.connect(postgres, connection_factory=LogicalReplicationConnection)
    linger_seconds = in_gulps(gulps[0] if gulps else None, connection)
    cursor = connection.cursor()
    cursor.start_replication(slot_name=slot, decode=False, options=OPTIONS)
    follow(cursor, ids, Invalidation(redis_url, in_one_command=bool(gulps)), linger_seconds=linger_seconds)


if __name__ == "__main__":
    main()
