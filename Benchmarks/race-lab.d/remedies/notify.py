import select
import time

import psycopg2
import redis

from application import key_of
from judge import APPLICATION, BYPASS, CRASHED
from remedies.remedy import Remedy


class ListenNotify(Remedy):
    """A trigger notifies with the row's id, a consumer that listens deletes. It hears of every writer, but what is
    notified while it is not connected is gone: there is no outbox."""

    name = "notify"
    title = "LISTEN/NOTIFY, no outbox"
    hears_of = {APPLICATION, CRASHED, BYPASS}
    has_consumer = True
    consumer_commands = ("del",)
    reconnect_seconds = 0.1

    def prepare(self, lab):
        lab.sql("""
            CREATE FUNCTION item_changed() RETURNS trigger LANGUAGE plpgsql AS
              $$BEGIN PERFORM pg_notify('item_changed', new.id::text); RETURN NULL; END$$;
            CREATE TRIGGER item_changed AFTER UPDATE ON items FOR EACH ROW EXECUTE FUNCTION item_changed()
            """)

    def clean_up(self, lab):
        lab.sql("DROP FUNCTION item_changed CASCADE")

    def consume(self, lab, ready):
        cache = redis.Redis.from_url(lab.settings.redis_url)
        while True:
            try:
                connection = psycopg2.connect(lab.settings.postgres_url, application_name=lab.CONSUMER)
                connection.autocommit = True
                connection.cursor().execute("LISTEN item_changed")
                ready.set()
                while True:
                    select.select([connection], [], [])
                    connection.poll()
                    if connection.notifies:
                        cache.delete(*{key_of(notice.payload) for notice in connection.notifies})
                        connection.notifies.clear()
            except psycopg2.Error:
                time.sleep(self.reconnect_seconds)
