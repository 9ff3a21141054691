"""A script that deletes users:{id} in Redis when it is notified of an id.
Usage: invalidate_from_notifications.py POSTGRES REDIS CHANNEL KEYS_AT_ONCE. Says so when it listens."""

import select
import sys

import psycopg2

from invalidation import Invalidation


def main():
    postgres, redis_url, channel, at_once = sys.argv[1:]
    connection = psycopg2.connect(postgres)
    connection.autocommit = True
    connection.cursor().execute(f"LISTEN {channel}")
    invalidation = Invalidation(redis_url, int(at_once), in_one_command=True)
    print("listening", connection.get_backend_pid(), flush=True)
    while True:
        connection.poll()
        if not connection.notifies:
            select.select([connection], [], [])
            continue
        notifies, connection.notifies = connection.notifies, []
        for notify in notifies:
            if invalidation.add([notify.payload.encode()]):
                invalidation.send()
        invalidation.send()


if __name__ == "__main__":
    main()
