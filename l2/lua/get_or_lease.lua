-- Answers with the value, or gives the caller the lease of the key.
--
-- KEYS: sequence, clearing of the region, value, lease
-- ARGV: token, fill token of a value that the caller does not accept (or ''),
--       life of the lease in ms
--
-- Twice: the second run finds the lease with the caller's token and grants it
-- again with the sequence of the first, so that an invalidation between the two
-- still shows. Late: it leaves a lease that is released when the answer comes,
-- or expires.
local s, lost = sequence(KEYS[1])
local v, other = get(KEYS[3])
local bad, size = '', 0
if other then
  bad = 'other'
elseif v and not readable(v) then
  bad, size = string.sub(v, 1, 8), #v
elseif v then
  if kind(v) == TOMBSTONE then return {'blocked', decimal(s)} end
  -- Where the sequence was lost nobody knows what happened to the value since.
  if not lost and number(v, AT_SEQ) >= cleared(KEYS[2]) and token(v) ~= ARGV[2] then
    return {'hit', decimal(s), v}
  end
end

local held = get(KEYS[4])
if held and #held == LEASE then
  -- Nobody's: what is loaded now may be older than a value that a Set has stored.
  if string.sub(held, 1, 16) == NOBODY then return {'blocked', decimal(s)} end
  if string.sub(held, 1, 16) ~= ARGV[1] then return {'busy', decimal(s)} end
  redis.call('PEXPIRE', KEYS[4], ARGV[3])
  return {'granted', decimal(number(held, 17)), bad, decimal(size)}
end
-- There is none, or something that is none and gives way.
redis.call('SET', KEYS[4], ARGV[1] .. u64(s), 'PX', ARGV[3])
return {'granted', decimal(s), bad, decimal(size)}
