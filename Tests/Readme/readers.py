"""Runs the Python of README.md, "Readers", verbatim, against a real PostgreSQL, Redis and cdcd.

REDIS_URL, POSTGRES_URL and CDCD_URL name the servers; `users` is a table (id, email, name) with the rule `user:{id}`.
Prints a line for each check; exits 1 when one fails.
"""

import concurrent.futures
import os
import pathlib
import re
import socket
import sys
import threading
import time
import traceback
import urllib.request

import psycopg
import redis

ROOT = pathlib.Path(__file__).resolve().parents[2]
TTL_MS = 60_000


def snippet():
    """The one block of Python in the section "Readers"."""
    section = re.search(r"^## Readers\n(.*?)^## ", (ROOT / "README.md").read_text(), re.M | re.S)
    blocks = re.findall(r"^```python\n(.*?)^```", section.group(1), re.M | re.S)
    assert len(blocks) == 1, f"{len(blocks)} blocks of Python"
    return blocks[0]


os.chdir(ROOT)
readers = {}
exec(compile(snippet(), "README.md", "exec"), readers)
value = readers["value"]

observer = redis.Redis.from_url(os.environ["REDIS_URL"])
sessions = threading.local()


def sql(statement, *arguments):
    """One statement in a transaction of its own: the first column of the first row, None without one."""
    if not hasattr(sessions, "own"):
        sessions.own = psycopg.connect(os.environ["POSTGRES_URL"], autocommit=True)
    cursor = sessions.own.execute(statement, arguments)
    row = cursor.fetchone() if cursor.description else None
    return row[0] if row else None


def name(user):
    found = sql("SELECT name FROM users WHERE id = %s", user)
    return None if found is None else found.encode()


def settle():
    """Waits until everything that was committed so far is out of the cache."""
    position = sql("SELECT pg_current_wal_flush_lsn()::text")
    with urllib.request.urlopen(f"{os.environ['CDCD_URL']}/wait?lsn={position}&timeout=20s") as answer:
        assert answer.status == 200


class Loads:
    """Counts how often `load` is called."""

    def __init__(self, load):
        self.load, self.count, self.lock = load, 0, threading.Lock()

    def __call__(self):
        with self.lock:
            self.count += 1
        return self.load()


def a_miss_fills_and_a_hit_loads_nothing():
    sql("INSERT INTO users VALUES (1, 'a@example.org', 'Ada')")
    settle()
    load = Loads(lambda: name(1))
    assert value("user:1", TTL_MS, load) == b"Ada"
    assert value("user:1", TTL_MS, load) == b"Ada"
    assert load.count == 1
    assert 0 < observer.pttl("user:1") <= TTL_MS
    assert not observer.exists("cdcd:l:{user:1}")


def after_a_settled_commit_the_next_read_is_fresh():
    sql("INSERT INTO users VALUES (2, 'b@example.org', 'v0')")
    for version in range(1, 6):
        value("user:2", TTL_MS, lambda: name(2))
        sql("UPDATE users SET name = %s WHERE id = 2", f"v{version}")
        settle()
        assert value("user:2", TTL_MS, lambda: name(2)) == f"v{version}".encode()


def a_fill_whose_lease_was_invalidated_is_refused():
    for key, change in [
        ("user:3", "INSERT INTO users VALUES (3, 'c@example.org', 'new')"),
        ("order:{3}:item:1", "INSERT INTO order_items VALUES (3, 1, 'a', 1)"),
        ("user:email:x{}", "INSERT INTO users VALUES (31, 'x{}', 'new')"),
    ]:
        settle()

        def load():
            sql(change)
            settle()
            return b"from before the change"

        assert value(key, TTL_MS, load) == b"from before the change"
        assert observer.get(key) is None, key
        assert value(key, TTL_MS, lambda: b"new") == b"new"
        assert observer.get(key) == b"new"


def an_absent_row_is_cached_until_it_appears():
    load = Loads(lambda: name(4))
    assert value("user:4", TTL_MS, load) is None
    assert value("user:4", TTL_MS, load) is None
    assert load.count == 1
    sql("INSERT INTO users VALUES (4, 'd@example.org', 'Dora')")
    settle()
    assert value("user:4", TTL_MS, load) == b"Dora"


def of_threads_that_miss_at_once_one_loads(user, threads):
    sql("INSERT INTO users VALUES (%s, %s, 'Eve')", user, f"e{user}@example.org")
    settle()

    def slow():
        time.sleep(0.2)
        return name(user)

    load, start = Loads(slow), threading.Barrier(threads)

    def reader(_):
        start.wait()
        return value(f"user:{user}", TTL_MS, load, wait_s=60)

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        assert list(pool.map(reader, range(threads))) == [b"Eve"] * threads
    assert load.count == 1, load.count


def of_fifty_threads_that_miss_at_once_one_loads():
    of_threads_that_miss_at_once_one_loads(5, threads=50)


def also_of_more_threads_than_a_pool_has_connections():
    of_threads_that_miss_at_once_one_loads(9, threads=400)


def a_call_without_an_answer_is_sent_once():
    calls = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up_on_scripts():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    while request := connection.recv(65_536):
                        if b"EVALSHA" in request:
                            calls.append(request)
                            break
                        hello = b"%1\r\n+proto\r\n:3\r\n" * request.count(b"HELLO")
                        connection.sendall(hello or b"+OK\r\n" * request.count(b"*"))

        threading.Thread(target=hang_up_on_scripts, daemon=True).start()
        lone = elsewhere(f"redis://127.0.0.1:{server.getsockname()[1]}/0")
        assert lone("user:10", TTL_MS, lambda: b"loaded") == b"loaded"
    assert len(calls) == 1, calls


def the_lease_of_a_dead_reader_ends_in_an_uncached_load():
    observer.set("cdcd:l:{user:6}", "of a process that was killed")
    start = time.monotonic()
    assert value("user:6", TTL_MS, lambda: b"loaded", wait_s=0.3) == b"loaded"
    assert 0.3 <= time.monotonic() - start < 3
    assert observer.get("user:6") is None


def scripts_may_be_flushed():
    observer.script_flush()

    def load():
        observer.script_flush()
        return b"loaded"

    assert value("user:7", TTL_MS, load) == b"loaded"
    assert observer.get("user:7") == b"loaded"


def elsewhere(url):
    """`value`, of a client for another Redis."""
    own, os.environ["REDIS_URL"] = os.environ["REDIS_URL"], url
    other = {}
    exec(compile(snippet(), "README.md", "exec"), other)
    os.environ["REDIS_URL"] = own
    return other["value"]


def without_redis_the_row_is_loaded():
    assert elsewhere("redis://127.0.0.1:1/0")("user:8", TTL_MS, lambda: b"loaded") == b"loaded"


failed = False
for check in [
    a_miss_fills_and_a_hit_loads_nothing,
    after_a_settled_commit_the_next_read_is_fresh,
    a_fill_whose_lease_was_invalidated_is_refused,
    an_absent_row_is_cached_until_it_appears,
    of_fifty_threads_that_miss_at_once_one_loads,
    also_of_more_threads_than_a_pool_has_connections,
    a_call_without_an_answer_is_sent_once,
    the_lease_of_a_dead_reader_ends_in_an_uncached_load,
    scripts_may_be_flushed,
    without_redis_the_row_is_loaded,
]:
    try:
        check()
        print("passed", check.__name__, flush=True)
    except Exception:
        failed = True
        print("FAILED", check.__name__, flush=True)
        traceback.print_exc(file=sys.stdout)
sys.exit(failed)
