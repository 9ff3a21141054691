-- Reads a key, or takes the lease that allows to fill it. On the Redis primary.
--
-- KEYS   key, lease
-- ARGV   token, lease_ms
-- reply  {'H', value} | {'L'} | {'W'}
--
-- token: 128 random bits, fresh for every call. 'H': the value. 'L': the lease is yours; only now begin the
-- database transaction that loads the value, then call fill. 'W': somebody else fills the key; ask again after a
-- pause, or load without filling.
local value = redis.call('GET', KEYS[1])
if value then return {'H', value} end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return {'L'} end
return {'W'}
