-- Invalidates a key and leaves its lease to the caller, who is about to fill it.
--
-- KEYS: sequence, value, lease
-- ARGV: token, life of the lease in ms, channel, message in three parts, the
--       caller's tombstone, its life in ms (0: none)
--
-- Where loads may read what was there before, the caller leaves a tombstone too,
-- under which it alone may fill, once: whatever becomes of the fill, nobody else
-- stores anything until the tombstone's life is over. What a Set before this one has
-- left gives way. Any other tombstone stays, for no less time, and there is no lease:
-- the fill is going to be refused, also if it comes when the tombstone has ended. What
-- the writer that the tombstone is of commits is newer, and whether it has been read
-- meanwhile nobody knows.
--
-- Twice: it counts twice, and the lease holds the sequence of the second run,
-- which is the one that the caller gets. Late, after the fill that it was for,
-- it only invalidates: its lease is one that nobody fills, and expires, and so does
-- its tombstone.
redis.call('UNLINK', KEYS[3]) -- first, for the reason given in invalidate.lua
local lag = tonumber(ARGV[8])
local h = tombstone(KEYS[2]) and get(KEYS[2])
local others = h and (#h < HEADER or number(h, AT_SEQ) ~= OF_A_SET)
if others then
  local left = redis.call('PTTL', KEYS[2])
  if left >= 0 and left < lag then redis.call('PEXPIRE', KEYS[2], lag) end
elseif lag > 0 then
  redis.call('SET', KEYS[2], ARGV[7], 'PX', lag)
else
  redis.call('UNLINK', KEYS[2])
end
local s = advance(KEYS[1])
if not others then redis.call('SET', KEYS[3], ARGV[1] .. u64(s), 'PX', ARGV[2]) end
announce(ARGV[3], ARGV[4], s, ARGV[5], ARGV[6])
return {decimal(s)}
