-- The fixed part of an envelope (see envelope.go); Lua counts from 1.
local HEADER, AT_CREATED, AT_SOFT_END, AT_TOKEN, AT_SEQ = 64, 9, 17, 25, 41
local LAYOUT = string.char(208, 159, 1)
local LIVE, TOMBSTONE = 0, 2
local LEASE = 24 -- token (16), sequence at the grant (8)
local OF_A_SET = 1 -- the sequence in the tombstone of a Set, see block.go
local NOBODY = string.rep('\0', 16) -- a token that nobody has

-- number reads 8 bytes, big endian.
local function number(b, at)
  local n = 0
  for i = at, at + 7 do n = n * 256 + string.byte(b, i) end
  return n
end

-- decimal writes a number in full; Lua itself would keep 14 digits.
local function decimal(n) return string.format('%.0f', n) end

-- get returns the string at k, or nil and whether something else is there.
local function get(k)
  local v = redis.pcall('GET', k)
  if type(v) == 'string' then return v, false end
  return nil, type(v) == 'table'
end

-- whole reports whether h is the head of an envelope of this size.
local function whole(h, size)
  if #h < HEADER or string.sub(h, 1, 3) ~= LAYOUT then return false end
  local a, b, c, d = string.byte(h, 5, 8)
  return ((a * 256 + b) * 256 + c) * 256 + d == size
end

local function readable(v) return whole(v, #v) end

local function kind(v) return string.byte(v, 4) % 4 end

local function token(v) return string.sub(v, AT_TOKEN, AT_TOKEN + 15) end

-- stored answers a caller whose value is there already, with head h: it has been
-- stored, unless its life is over.
local function stored(s, h)
  local ends = number(h, AT_SOFT_END)
  if ends <= now() then return {'refused', decimal(s)} end
  return {'stored', decimal(s), decimal(number(h, AT_CREATED)), decimal(ends)}
end

-- cleared returns the sequence of the region's last clearing.
local function cleared(k)
  local c = get(k)
  return c and tonumber(c) or 0
end

-- tombstone reports whether the value at k is one, without reading all of it.
local function tombstone(k)
  local h = redis.pcall('GETRANGE', k, 0, 3)
  return type(h) == 'string' and #h == 4 and string.sub(h, 1, 3) == LAYOUT and kind(h) == TOMBSTONE
end

-- announce publishes an invalidation. Only the script knows the two numbers in
-- the message, so that it comes in three parts.
local function announce(channel, head, s, mid, tail)
  redis.call('PUBLISH', channel, head .. u64(s) .. mid .. u64(now()) .. tail)
end
