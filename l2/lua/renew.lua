-- Prolongs a lease, if it is the caller's. Twice and late it does the same.
--
-- KEYS: lease
-- ARGV: token, life in ms
local held = get(KEYS[1])
if held and string.sub(held, 1, 16) == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return {'1'}
end
return {'0'}
