-- Gives a value another life, under another lease, if the value is still the one
-- that the origin was asked about, and if the lease says that nothing has happened
-- to the key since.
--
-- KEYS: sequence, clearing of the region, value, lease, epoch
-- ARGV: what the lease must hold, fill token of the value, checksum of the lease,
--       life in µs, time to keep in ms, channel, message in three parts, 1 if it
--       is to be announced
--
-- The rules are those of fill.lua. Where the value is gone, or another, the lease
-- stays with the caller, who has to load what there is now. So it does where the
-- value is from before the present primary: its invalidation may have been lost with
-- the former one, and that its sequence is old is all that tells.
--
-- Twice: the second run finds what the first one did; if that life is over, it is
-- refused, as in fill.lua. Late: refused, like a fill.
local known = get(KEYS[1])
local s = known and tonumber(known)
if not s then return {'refused', '0'} end
local clear = cleared(KEYS[2])
if number(ARGV[1], 17) < clear then return {'refused', decimal(s)} end

local h = redis.pcall('GETRANGE', KEYS[3], 0, HEADER - 1)
local ours = type(h) == 'string' and whole(h, redis.call('STRLEN', KEYS[3]))
if ours and kind(h) == TOMBSTONE then return {'refused', decimal(s)} end
if ours and token(h) == string.sub(ARGV[1], 1, 16) then return stored(s, h) end
if get(KEYS[4]) ~= ARGV[1] then return {'refused', decimal(s)} end
local epoch = get(KEYS[5])
local since = epoch and tonumber(string.match(epoch, '^[^|]*|(%d+)|')) or 0
if not ours or kind(h) ~= LIVE or token(h) ~= ARGV[2] or number(h, AT_SEQ) < math.max(clear, since) then
  return {'gone', decimal(s)}
end

local created = now()
local ends = created + tonumber(ARGV[4])
redis.call('SETRANGE', KEYS[3], AT_CREATED - 1, u64(created) .. u64(ends) .. ARGV[1] .. ARGV[3])
redis.call('PEXPIRE', KEYS[3], ARGV[5])
redis.call('UNLINK', KEYS[4])
if ARGV[10] == '1' then
  s = advance(KEYS[1])
  announce(ARGV[6], ARGV[7], s, ARGV[8], ARGV[9])
end
return {'stored', decimal(s), decimal(created), decimal(ends)}
