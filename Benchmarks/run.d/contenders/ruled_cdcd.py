"""cdcd with rules, or a way to Redis, of a scenario's choice. In no table of contenders."""

from contenders.cdcd import CDCD
from daemon import USERS_RULE, Daemon
from servers import Addresses
from workloads import fill_keys


class RuledCDCD(CDCD):
    def __init__(self, place, name, rules=USERS_RULE, more_keys=(), rows=0, redis_url=None):
        """`name` is also the slot's. `more_keys`: prefixes of the keys that each of so many `rows` has besides
        `users:{id}`. `redis_url`: where it finds Redis, if on another way than everybody."""
        super().__init__(place)
        self.name = self.title = name
        self._rules = rules
        self._more_keys = more_keys
        self._rows = rows
        self._redis_url = redis_url

    def set_up(self):
        place = self.place
        addresses = Addresses(place.addresses.postgres, self._redis_url or place.addresses.redis)
        self.daemon = Daemon(place.cdcd, place.folder, self.name, addresses, slot=self.slot, rules=self._rules)
        self.daemon.set_up()

    def restore(self):
        super().restore()
        for prefix in self._more_keys:
            fill_keys(self.place.servers, prefix, self._rows)
