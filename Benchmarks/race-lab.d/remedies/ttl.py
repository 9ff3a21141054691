from remedies.remedy import Remedy


class TTLOnly(Remedy):
    """No invalidation: a value is wrong until it expires. Whoever relies on it alone keeps it short."""

    name = "ttl"
    title = "TTL of 10 s alone"
    ttl_seconds = 10
    hears_of = frozenset()
