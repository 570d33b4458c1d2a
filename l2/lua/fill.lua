-- Stores a value, if the lease says that nothing has happened to the key since
-- the load began.
--
-- KEYS: sequence, clearing of the region, value, lease
-- ARGV: what the lease must hold, the envelope up to its times and from behind
--       them, life in µs, time to keep in ms, channel, message in three parts,
--       1 if it is to be announced in any case
--
-- Twice: the second run finds the value of the first, and answers with its times.
-- If its life is over, because Expire came between the two or it was that short, it
-- is refused: the sequence that the answer has includes the Expire, and the value
-- does not. Late: the lease is gone, another's, or from another grant, and so the
-- value is refused. That a lease is missing is never permission: it is the trace
-- that an invalidation leaves.
--
-- A clearing of the region leaves leases in place; it shows in the sequence.
local known = get(KEYS[1])
local s = known and tonumber(known)
if not s then return {'refused', '0'} end
if number(ARGV[1], 17) < cleared(KEYS[2]) then return {'refused', decimal(s)} end

local v, other = get(KEYS[3])
local lag = 0 -- in ms, for how long nobody else may store anything: see begin.lua
if v and readable(v) then
  if kind(v) == TOMBSTONE then
    if token(v) ~= string.sub(ARGV[1], 1, 16) then return {'refused', decimal(s)} end
    lag = redis.call('PTTL', KEYS[3])
  elseif token(v) == string.sub(ARGV[1], 1, 16) then return stored(s, v) end
end
if get(KEYS[4]) ~= ARGV[1] then return {'refused', decimal(s)} end

local created = now()
local ends = created + tonumber(ARGV[4])
-- The value first: where memory is full this refuses before anything happened.
redis.call('SET', KEYS[3], ARGV[2] .. u64(created) .. u64(ends) .. ARGV[3], 'PX', ARGV[5])
if lag > 0 then
  redis.call('SET', KEYS[4], NOBODY .. u64(s), 'PX', lag)
else
  redis.call('UNLINK', KEYS[4])
end
-- A tombstone is no value: it was announced, and nobody keeps what is read under it.
if (v and lag == 0) or other or ARGV[10] == '1' then
  -- Some instance may hold what was replaced, or what was replaced before.
  s = advance(KEYS[1])
  announce(ARGV[6], ARGV[7], s, ARGV[8], ARGV[9])
end
return {'stored', decimal(s), decimal(created), decimal(ends)}
