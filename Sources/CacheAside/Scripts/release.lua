-- Gives an unused lease back, so that the next reader need not wait until it expires. On the Redis primary.
-- Optional: nothing becomes unsafe without it.
--
-- KEYS   lease
-- ARGV   token
-- reply  1 | 0
--
-- 1: given back. 0: it was not held any more.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
