-- Answers with the sequences of tags' last invalidations, after that of the
-- partition.
--
-- KEYS: sequence, clearing of all tags, tags
-- ARGV: time to keep in ms
--
-- A tag that is not known counts as invalidated now: it may have been, and the
-- trace lost. It is written down, so that what is loaded from now on is known to
-- be newer. Twice and late it finds what it wrote.
local s, lost = sequence(KEYS[1])
local all = cleared(KEYS[2])
local answer = {decimal(s)}
for i = 3, #KEYS do
  local t = not lost and tonumber(get(KEYS[i]) or '')
  if t then
    redis.call('PEXPIRE', KEYS[i], ARGV[1])
  else
    t = s
    redis.call('SET', KEYS[i], decimal(s), 'PX', ARGV[1])
  end
  answer[#answer + 1] = decimal(math.max(t, all))
end
return answer
