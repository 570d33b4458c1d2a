-- Gives up a lease, if it is the caller's. Twice and late it finds none, or
-- another's, and leaves it.
--
-- KEYS: lease
-- ARGV: token
local held = get(KEYS[1])
if held and string.sub(held, 1, 16) == ARGV[1] then
  redis.call('UNLINK', KEYS[1])
  return {'1'}
end
return {'0'}
