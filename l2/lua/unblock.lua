-- Invalidates keys, and takes away the tombstones in their place that are the
-- caller's.
--
-- KEYS: sequence, then value and lease of each key
-- ARGV: the caller's tombstone, channel, message in three parts
--
-- Twice and late it is an invalidation.
for i = 2, #KEYS, 2 do
  redis.call('UNLINK', KEYS[i + 1]) -- first, for the reason given in invalidate.lua
  if not tombstone(KEYS[i]) or token(get(KEYS[i])) == token(ARGV[1]) then redis.call('UNLINK', KEYS[i]) end
end
local s = advance(KEYS[1])
announce(ARGV[2], ARGV[3], s, ARGV[4], ARGV[5])
return {decimal(s)}
