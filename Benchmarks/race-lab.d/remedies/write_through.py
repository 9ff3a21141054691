from application import key_of
from remedies.remedy import Remedy


class WriteThrough(Remedy):
    """The writer puts the new value into the cache after its commit: no miss follows a write, but two writers may
    arrive in the other order."""

    name = "write-through"
    title = "Write-through after commit"

    def write(self, application, item):
        value = application.update(item)
        application.redis.set(key_of(item), value, ex=self.ttl_seconds)
