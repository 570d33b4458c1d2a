-- Removes values and leases of keys of one partition, counts that, writes the
-- count down for each of some tags, and says so.
--
-- KEYS: sequence, then value and lease of each key, then tags
-- ARGV: channel, message in three parts, number of tags, time to keep them in ms
--
-- Twice or late it removes what is there then, and counts once more: a load
-- more, never a stale read.
--
-- UNLINK of the leases comes first: it is a write that a Redis whose memory is
-- full does not refuse, and after a first write it refuses none of a script. So
-- invalidations go through there as well.
local tags = #KEYS - tonumber(ARGV[5])
for i = 2, tags, 2 do
  redis.call('UNLINK', KEYS[i + 1])
  if not tombstone(KEYS[i]) then redis.call('UNLINK', KEYS[i]) end
end
local s = advance(KEYS[1])
for i = tags + 1, #KEYS do redis.call('SET', KEYS[i], decimal(s), 'PX', ARGV[6]) end
announce(ARGV[1], ARGV[2], s, ARGV[3], ARGV[4])
return {decimal(s)}
