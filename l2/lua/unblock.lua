-- Invalidates keys, and takes away the tombstones in their place that are the
-- caller's; or leaves ones there that are nobody's, for a time.
--
-- KEYS: sequence, then value and lease of each key
-- ARGV: the caller's tombstone, a tombstone that is nobody's, for how long to leave
--       that, in ms (0: not), channel, message in three parts
--
-- Twice and late it is an invalidation.
local lag = tonumber(ARGV[3])
for i = 2, #KEYS, 2 do
  redis.call('UNLINK', KEYS[i + 1]) -- first, for the reason given in invalidate.lua
  local others = tombstone(KEYS[i]) and token(get(KEYS[i])) ~= token(ARGV[1])
  if lag > 0 then
    local life = lag
    if others then life = math.max(life, redis.call('PTTL', KEYS[i])) end
    redis.call('SET', KEYS[i], ARGV[2], 'PX', life)
  elseif not others then
    redis.call('UNLINK', KEYS[i])
  end
end
local s = advance(KEYS[1])
announce(ARGV[4], ARGV[5], s, ARGV[6], ARGV[7])
return {decimal(s)}
