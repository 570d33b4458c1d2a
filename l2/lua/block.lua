-- Invalidates keys and leaves tombstones in their place: until they end, nothing
-- is stored there.
--
-- KEYS: sequence, then value and lease of each key
-- ARGV: the caller's tombstone, a tombstone that is nobody's, their life in ms,
--       channel, message in three parts
--
-- Where there is a tombstone of somebody else's, two writes are under way, and
-- neither may end what protects the other one: it becomes nobody's, and only time
-- ends it. Whoever's it was, it never ends earlier than it would have.
--
-- Twice: it finds the caller's, which lives for as long again. Late, after the
-- write has ended: it costs loads until its life is over.
for i = 2, #KEYS, 2 do
  redis.call('UNLINK', KEYS[i + 1]) -- first, for the reason given in invalidate.lua
  local mine, life = ARGV[1], tonumber(ARGV[3])
  if tombstone(KEYS[i]) then
    if token(get(KEYS[i])) ~= token(mine) then mine = ARGV[2] end
    life = math.max(life, redis.call('PTTL', KEYS[i]))
  end
  redis.call('SET', KEYS[i], mine, 'PX', life)
end
local s = advance(KEYS[1])
announce(ARGV[4], ARGV[5], s, ARGV[6], ARGV[7])
return {decimal(s)}
