-- Ends the lives of values of one partition, which stay to be served stale,
-- removes their leases, counts that, and says so. What is no value, but for a
-- tombstone, is removed.
--
-- KEYS: sequence, then value and lease of each key
-- ARGV: time to keep the values in ms, channel, message in three parts
--
-- Twice: the second run finds lives that are over, does not let their values stay
-- for longer, and counts once more. Late it ends the life of what is there then:
-- a load more, never a stale read.
local keep = tonumber(ARGV[1])
for i = 2, #KEYS, 2 do
  local k = KEYS[i]
  redis.call('UNLINK', KEYS[i + 1]) -- first, for the reason given in invalidate.lua
  local h = redis.pcall('GETRANGE', k, 0, HEADER - 1)
  if type(h) == 'string' and #h == HEADER and whole(h, redis.call('STRLEN', k)) and kind(h) == LIVE then
    local t = math.max(now(), number(h, AT_CREATED))
    if number(h, AT_SOFT_END) > t then
      redis.call('SETRANGE', k, AT_SOFT_END - 1, u64(t))
      local left = redis.call('PTTL', k)
      if left < 0 or left > keep then redis.call('PEXPIRE', k, keep) end
    end
  elseif not tombstone(k) then
    redis.call('UNLINK', k)
  end
end
local s = advance(KEYS[1])
announce(ARGV[2], ARGV[3], s, ARGV[4], ARGV[5])
return {decimal(s)}
