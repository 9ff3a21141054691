import time

from application import key_of
from remedies.remedy import Remedy

UNLOCK = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


class LockAroundTheRead(Remedy):
    """One reader fills at a time: SET NX of a lock with a time limit around the read-through, released by its owner
    alone; the others poll the cache, and after half a second read past it. The writer deletes after its update."""

    name = "lock"
    title = "SETNX lock around the read"
    lock_milliseconds = 5000
    polls = 25
    poll_seconds = 0.02

    def read(self, application, item):
        key = key_of(item)
        lock = f"lock:{key}"
        owner = application.random.getrandbits(128)
        for _ in range(self.polls):
            value = application.get(key)
            if value is not None:
                return value
            if application.redis.set(lock, owner, nx=True, px=self.lock_milliseconds):
                try:
                    value = application.select(item)
                    application.redis.set(key, value, ex=self.ttl_seconds)
                finally:
                    application.script(UNLOCK)(keys=[lock], args=[owner])
                return value
            time.sleep(self.poll_seconds)
        return application.select(item)

    def write(self, application, item):
        application.update(item)
        application.redis.delete(key_of(item))
