"""What a remedy is. As it stands here it is cache-aside without any invalidation."""

from application import key_of
from judge import APPLICATION


class Remedy:
    name = None
    title = None
    # The safety net that people keep under an invalidation. It is longer than a run.
    ttl_seconds = 300
    # Kinds of writes that the remedy hears of.
    hears_of = {APPLICATION}
    # Whether `consume` is to run in a process of its own.
    has_consumer = False
    # Redis commands that only the consumer sends, as INFO commandstats names them.
    consumer_commands = ()

    def read(self, application, item):
        """One read of the application, through the cache. Returns the value."""
        key = key_of(item)
        value = application.get(key)
        if value is None:
            value = application.select(item)
            application.redis.set(key, value, ex=self.ttl_seconds)
        return value

    def write(self, application, item):
        """One write of the application."""
        application.update(item)

    def finish(self, application):
        """The writer's process ends in good order."""

    def prepare(self, lab):
        """Before the load: triggers, publications."""

    def consume(self, lab, ready):
        """The consumer's process: sets `ready` when it hears of changes; is ended by a signal."""

    def start(self, lab):
        """Starts whatever must run besides the application; returns when it hears of changes."""
        if self.has_consumer:
            lab.start_consumer(self)

    def settle(self, lab):
        """Returns when everything committed so far has had its effect on the cache."""
        if self.has_consumer:
            lab.wait_for_consumer()

    def clean_up(self, lab):
        """After the consumer has ended: takes back what `prepare` did."""
