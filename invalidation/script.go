package invalidation

import (
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/keyspace"
)

// What a run of probeScript is to look at.
const (
	scopeAll        = "all"        // the layout, and partitions under it
	scopeLayout     = "layout"     // the layout alone
	scopePartitions = "partitions" // partitions, under a layout that was looked at before
)

// probeScript does all that a probe does, for any number of partitions.
//
// KEYS: the layout's key and its record (not if the scope is partitions), then
// sequence and epoch of each partition.
// ARGV: scope, our layout, the life of its key in ms, its era if the scope is
// partitions, and the run id that this instance saw last (” for none).
//
// It returns {0, layout of the others} if that differs from ours. Otherwise
// {1, time in µs, run id, era}, and for each partition: sequence, 1 if it had
// to be created, epoch sequence, epoch time.
//
// PERSIST is the heartbeat. It is a write, and as such refused by a replica
// (READONLY), by a primary that has lost too many replicas
// (min-replicas-to-write) and by one that cannot save (MISCONF): then the
// script fails and no lease is granted. Yet it changes nothing, so that it
// costs no replication, and is allowed when memory is full.
//
// The layout's key expires; the record does not. The record tells, when the
// layout's key is taken anew, whether another layout was in use meanwhile. If
// so a new era begins, and values that the previous era left behind must not
// come back to life, because the other layout's instances did not invalidate
// them. Each partition's epoch notes the era that it has seen.
//
// An epoch is "run id|sequence|time|era". A value whose header has a smaller
// sequence was written before the partition's primary changed (time says when,
// on the server's clock), or in an earlier era (time 0: long enough ago). The
// sequence moves up to the present time at that, which every instance notices
// as invalidations that it has missed. A partition without an epoch has never
// been probed: there is nothing to distrust, unless this instance knows it
// from another primary.
var probeScript = redis.NewScript(keyspace.SequenceLua + `
local scope, ours, ttl, era, known = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local first = 1
if scope ~= 'partitions' then
  first = 3
  local held = redis.call('GET', KEYS[1])
  if held and held ~= ours then return {0, held} end
  if not held then
    redis.call('SET', KEYS[1], ours, 'PX', ARGV[3])
  elseif redis.call('PTTL', KEYS[1]) < ttl / 2 then
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
  end
  local record, mine = redis.call('GET', KEYS[2]), ours .. ' '
  if record and string.sub(record, 1, #mine) == mine then
    era = string.sub(record, #mine + 1)
  else
    era = string.format('%.0f', now())
    redis.call('SET', KEYS[2], mine .. era)
  end
  redis.call('PERSIST', KEYS[2])
end
local run = ''
if scope ~= 'layout' then
  local info = redis.pcall('INFO', 'server')
  run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
end
local out = {1, now(), run, era}
for i = first, #KEYS, 2 do
  local s, created = sequence(KEYS[i])
  redis.call('PERSIST', KEYS[i])
  local e = redis.call('GET', KEYS[i + 1])
  local run0, seq, at, era0
  if e then run0, seq, at, era0 = string.match(e, '^(%w*)|(%d+)|(%d+)|(%d*)$') end
  local distrusted
  if not run0 then
    seq, at = '0', string.format('%.0f', now())
    if e or (not created and known ~= '' and run ~= '' and run ~= known) then distrusted = now() end
  elseif era0 ~= era then
    distrusted = 0
  elseif run0 ~= '' and run ~= '' and run ~= run0 then
    distrusted = now()
  end
  if distrusted then
    s = math.max(s + 1, now())
    seq, at = string.format('%.0f', s), string.format('%.0f', distrusted)
    redis.call('SET', KEYS[i], seq)
  end
  local e1 = (run ~= '' and run or run0 or '') .. '|' .. seq .. '|' .. at .. '|' .. era
  if e1 ~= e then redis.call('SET', KEYS[i + 1], e1) end
  out[#out + 1] = s
  out[#out + 1] = created and 1 or 0
  out[#out + 1] = tonumber(seq)
  out[#out + 1] = tonumber(at)
end
return out
`)

// answer is what a run of probeScript returned.
type answer struct {
	conflict   bool
	theirs     string // the others' layout
	micros     int64
	runID, era string
	partitions []partitionAnswer
}

type partitionAnswer struct {
	seq     uint64
	created bool
	epoch   epoch
}

// epoch is since when a partition has had its present primary.
type epoch struct {
	seq uint64 // the sequence began here; 0: nothing is known of an earlier one
	at  int64  // server time in µs; where seq is 0, when that was noted
}

var errAnswer = errors.New("invalidation: unexpected answer to the probe")

// parseAnswer reads what the script returned for n partitions.
func parseAnswer(v []any, n int) (answer, error) {
	numbers := make([]int64, 0, 2+4*n)
	var texts []string
	for _, x := range v {
		switch x := x.(type) {
		case int64:
			if x < 0 {
				return answer{}, fmt.Errorf("%w: %d", errAnswer, x)
			}
			numbers = append(numbers, x)
		case string:
			texts = append(texts, x)
		default:
			return answer{}, fmt.Errorf("%w: %T", errAnswer, x)
		}
	}
	switch {
	case len(numbers) == 1 && len(texts) == 1 && numbers[0] == 0:
		return answer{conflict: true, theirs: texts[0]}, nil
	case len(numbers) != 2+4*n || len(texts) != 2 || numbers[0] != 1:
		return answer{}, fmt.Errorf("%w: %d numbers, %d texts for %d partitions", errAnswer, len(numbers), len(texts), n)
	}
	a := answer{micros: numbers[1], runID: texts[0], era: texts[1], partitions: make([]partitionAnswer, n)}
	for i := range a.partitions {
		x := numbers[2+4*i:]
		a.partitions[i] = partitionAnswer{
			seq:     uint64(x[0]),
			created: x[1] == 1,
			epoch:   epoch{seq: uint64(x[2]), at: x[3]},
		}
	}
	return a, nil
}
