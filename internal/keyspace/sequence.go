package keyspace

// SequenceLua is the head of every script that reads or counts a partition's
// sequence. It defines
//
//	now()         the server's TIME in µs
//	sequence(k)   the sequence at key k and whether it had to be created
//	advance(k)    the sequence at key k after counting one invalidation
//	u64(n)        n as 8 bytes, big endian
//
// A lost sequence is created as the server's time, so that it comes back
// larger than it was: no partition counts a million invalidations a second.
//
// Numbers are doubles in Lua, exact up to 2^53. They must never be turned into
// strings by Lua itself, which keeps 14 digits; hence the format.
const SequenceLua = `
local function now()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000000 + tonumber(t[2])
end
local function sequence(k)
  local s = redis.call('GET', k)
  if s then return tonumber(s), false end
  local n = now()
  redis.call('SET', k, string.format('%.0f', n))
  return n, true
end
local function advance(k)
  if redis.call('EXISTS', k) == 1 then return redis.call('INCR', k) end
  return (sequence(k))
end
local function u64(n)
  local b = {}
  for i = 8, 1, -1 do
    b[i] = string.char(n % 256)
    n = math.floor(n / 256)
  end
  return table.concat(b)
end
`
