-- Makes all values of some regions in one partition void: those whose lease was
-- granted before now.
--
-- KEYS: sequence, a lease that nobody can hold, then the clearing of each region
-- ARGV: channel, message in three parts
--
-- The UNLINK is there for the reason given in invalidate.lua. Twice or late it
-- clears and counts once more.
redis.call('UNLINK', KEYS[2])
local s = advance(KEYS[1])
for i = 3, #KEYS do redis.call('SET', KEYS[i], decimal(s)) end
announce(ARGV[1], ARGV[2], s, ARGV[3], ARGV[4])
return {decimal(s)}
