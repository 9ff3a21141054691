-- Stores what was loaded, if the lease is still held. On the Redis primary.
--
-- KEYS   key, lease
-- ARGV   token, value, ttl_ms
-- reply  1 | 0
--
-- token: the one with which get took the lease. 1: stored. 0: refused, and nothing changed: the row was changed
-- and cdcd deleted the lease, or the lease expired or was evicted. The loaded value is still an answer for whoever
-- loaded it.
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[2])
return 1
