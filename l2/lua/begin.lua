-- Invalidates a key and leaves its lease to the caller, who is about to fill it.
--
-- KEYS: sequence, value, lease
-- ARGV: token, life of the lease in ms, channel, message in three parts
--
-- Twice: it counts twice, and the lease holds the sequence of the second run,
-- which is the one that the caller gets. Late, after the fill that it was for,
-- it only invalidates: its lease is one that nobody fills, and expires.
redis.call('UNLINK', KEYS[3]) -- first, for the reason given in invalidate.lua
if not tombstone(KEYS[2]) then redis.call('UNLINK', KEYS[2]) end
local s = advance(KEYS[1])
redis.call('SET', KEYS[3], ARGV[1] .. u64(s), 'PX', ARGV[2])
announce(ARGV[3], ARGV[4], s, ARGV[5], ARGV[6])
return {decimal(s)}
