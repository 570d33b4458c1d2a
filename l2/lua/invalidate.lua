-- Removes values and leases of keys of one partition, counts that, and says so.
--
-- KEYS: sequence, then value and lease of each key
-- ARGV: channel, message in three parts
--
-- Twice or late it removes what is there then, and counts once more: a load
-- more, never a stale read.
--
-- UNLINK of the leases comes first: it is a write that a Redis whose memory is
-- full does not refuse, and after a first write it refuses none of a script. So
-- invalidations go through there as well.
for i = 2, #KEYS, 2 do
  redis.call('UNLINK', KEYS[i + 1])
  if not tombstone(KEYS[i]) then redis.call('UNLINK', KEYS[i]) end
end
local s = advance(KEYS[1])
announce(ARGV[1], ARGV[2], s, ARGV[3], ARGV[4])
return {decimal(s)}
