-- Lets a value stay that was read, up to the end of its life and the time that it
-- is kept beyond.
--
-- KEYS: value
-- ARGV: fill token of the value that was read, time to stay in ms, time that it is
--       kept beyond its life in ms
--
-- Twice or late it lets the value stay a little longer than it would, and never
-- beyond its end. A value that has taken its place is left alone.
local h = redis.pcall('GETRANGE', KEYS[1], 0, HEADER - 1)
if type(h) ~= 'string' or #h < HEADER or string.sub(h, 1, 3) ~= LAYOUT or token(h) ~= ARGV[1] then return {'0'} end
local rest = math.floor((number(h, AT_SOFT_END) - now()) / 1000) + tonumber(ARGV[3])
local stay = math.min(tonumber(ARGV[2]), rest)
if stay <= 0 then return {'0'} end
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', stay))
return {'1'}
