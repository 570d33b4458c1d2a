-- Ends the lives of values of one partition, which stay to be served stale or to be
-- asked about, removes their leases, counts that, and says so. What is no value, but
-- for a tombstone, is removed; so is a value that is not to be kept.
--
-- KEYS: sequence, then value and lease of each key
-- ARGV: time to keep values in ms (0: not at all), the same for those with a
--       validator, channel, message in three parts
--
-- Twice: the second run finds lives that are over, does not let their values stay
-- for longer, and counts once more. Late it ends the life of what is there then:
-- a load more, never a stale read.

-- validated reports whether the envelope at k has a validator. It steps over what
-- comes before that, and does not read the payload, which may be large.
local function validated(k)
  local at = HEADER
  local function size(n)
    local b, v = redis.call('GETRANGE', k, at, at + n - 1), 0
    for i = 1, #b do v = v * 256 + string.byte(b, i) end
    at = at + n
    return v
  end
  local function skip(n) at = at + n end
  skip(size(1)) -- codec
  skip(size(2)) -- schema
  for _ = 1, size(2) do
    skip(size(2)) -- tag
    skip(8) -- its stamp
  end
  return size(2) > 0
end

local keep, ask = tonumber(ARGV[1]), tonumber(ARGV[2])
for i = 2, #KEYS, 2 do
  local k = KEYS[i]
  redis.call('UNLINK', KEYS[i + 1]) -- first, for the reason given in invalidate.lua
  local h = redis.pcall('GETRANGE', k, 0, HEADER - 1)
  if type(h) == 'string' and #h == HEADER and whole(h, redis.call('STRLEN', k)) and kind(h) == LIVE then
    local t = now()
    if number(h, AT_CREATED) > t then
      -- The clock was set back: a life cannot end before it has begun.
      redis.call('UNLINK', k)
    elseif number(h, AT_SOFT_END) > t then
      local stay = keep
      if ask > keep and validated(k) then stay = ask end
      if stay == 0 then
        redis.call('UNLINK', k)
      else
        redis.call('SETRANGE', k, AT_SOFT_END - 1, u64(t))
        local left = redis.call('PTTL', k)
        if left < 0 or left > stay then redis.call('PEXPIRE', k, stay) end
      end
    end
  elseif not tombstone(k) then
    redis.call('UNLINK', k)
  end
end
local s = advance(KEYS[1])
announce(ARGV[3], ARGV[4], s, ARGV[5], ARGV[6])
return {decimal(s)}
