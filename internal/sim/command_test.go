package sim

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/internal/redistest"
)

// Names of commands as this package calls them: those of the scripts' files, or
// in lower case those of Redis.
const (
	cmdGet            = "mget"
	cmdGetOrLease     = "get_or_lease"
	cmdFill           = "fill"
	cmdBegin          = "begin"
	cmdInvalidate     = "invalidate"
	cmdInvalidatePart = "invalidate_partition"
	cmdExpire         = "expire"
	cmdBlock          = "block"
	cmdUnblock        = "unblock"
	cmdTags           = "tags"
	cmdTouch          = "touch"
	cmdRevalidate     = "revalidate"
	cmdRelease        = "release"
	cmdRenew          = "renew"
	cmdProbe          = "probe"
	cmdSubscribe      = "subscribe"
)

// scripts are the scripts of package l2.
var scripts = []string{
	cmdBegin, cmdFill, cmdGetOrLease, cmdInvalidate, cmdInvalidatePart, cmdRelease, cmdRenew,
	cmdExpire, cmdBlock, cmdUnblock, cmdTags, cmdTouch, cmdRevalidate,
}

// scriptNames maps the digest of a script to its name. The probe's is learned
// when it is first sent in full.
var scriptNames = sync.OnceValue(func() *sync.Map {
	var names sync.Map
	for _, name := range scripts {
		names.Store(digest(source(name)), name)
	}
	return &names
})

// source is a script as it is sent.
func source(name string) string { return keyspace.SequenceLua + luaFile("envelope") + luaFile(name) }

func luaFile(name string) string {
	b, err := os.ReadFile("../../l2/lua/" + name + ".lua")
	if err != nil {
		panic(err) // a test without the scripts can do nothing
	}
	return string(b)
}

func digest(source string) string {
	sum := sha1.Sum([]byte(source))
	return hex.EncodeToString(sum[:])
}

// command is one command of a node, on its way.
type command struct {
	node    string
	link    int
	name    string
	frame   []byte
	args    []string // of Redis, the name included
	keys    []string // "region:key" of the values and leases that it concerns
	tags    []string // that it asks for or invalidates, as the oracle calls them
	regions []string // that it clears; "" stands for all tags
	parts   []int    // partitions
	token   string   // of the lease that it takes, fills, renews or gives up
	twin    bool     // sent again by the network
	late    bool     // executed after its connection was gone
	fate    fate
	version map[string]uint64 // of what it invalidates, at the origin, before it was executed
	before  int               // position in the log before it was executed
	reply   any
	values  map[string]value // that it has read, or found stored
	seq     uint64           // sequence that the reply tells
	seqs    map[int]uint64   // the same by partition, of a probe
}

// fate is what becomes of a command.
type fate int

const (
	fateNone     fate = iota
	fateCut           // executed, its reply lost and the connection with it
	fateLate          // not executed until its sender has given up
	fateTwin          // executed, and once more much later
	fateCutFirst      // the connection is cut before it is executed
)

var keyName = regexp.MustCompile(`^[^{]*\{1\.\d+\.(\d+)\}:(?:([vltc]):(.*)|(s))$`)

// parseCommand reads a command frame.
func parseCommand(frame []byte) (*command, error) {
	bulks, err := redistest.Bulks(frame)
	if err != nil || len(bulks) == 0 {
		return nil, fmt.Errorf("sim: not a command: %q: %w", frame, err)
	}
	c := &command{frame: frame, args: make([]string, len(bulks))}
	for i, b := range bulks {
		c.args[i] = string(b)
	}
	c.name = strings.ToLower(c.args[0])
	names := c.args[1:]
	if c.name == "eval" || c.name == "evalsha" {
		n, _ := strconv.Atoi(c.args[2])
		names = c.args[3 : 3+n]
		c.name = scriptName(c.name, c.args[1])
		rest := c.args[3+n:]
		switch c.name {
		case cmdGetOrLease, cmdBegin, cmdRenew, cmdRelease, cmdFill, cmdRevalidate:
			c.token = rest[0][:16] // of a fill and a renewal token and sequence are one argument
		}
	}
	seen := make(map[string]bool)
	for _, name := range names {
		m := keyName.FindStringSubmatch(name)
		if m == nil {
			continue
		}
		if m[4] == "s" || c.name == cmdRelease || c.name == cmdRenew {
			p, _ := strconv.Atoi(m[1])
			c.parts = append(c.parts, p)
		}
		switch m[2] {
		case "t":
			c.tags = append(c.tags, tagPrefix+m[3])
		case "c":
			if c.name == cmdInvalidatePart {
				c.regions = append(c.regions, m[3])
			}
		case "v", "l":
			if m[3] != ":" && !seen[m[3]] { // the lease that nobody can hold
				seen[m[3]] = true
				c.keys = append(c.keys, m[3])
			}
		}
	}
	return c, nil
}

func scriptName(verb, source string) string {
	id := source
	if verb == "eval" {
		id = digest(source)
		sources.Store(id, source)
		if strings.Contains(source, "PERSIST") {
			scriptNames().LoadOrStore(id, cmdProbe)
		}
	}
	if name, ok := scriptNames().Load(id); ok {
		return name.(string)
	}
	return verb
}

// sources are the scripts that were sent in full, by digest.
var sources sync.Map

// rewrite lets the server execute another script than the one that was sent, with
// something in its place.
func (c *command) rewrite(old, by string) {
	text := c.args[1]
	if slices.Contains(scripts, c.name) {
		text = source(c.name)
	} else if full, ok := sources.Load(text); ok {
		text = full.(string)
	} else if strings.EqualFold(c.args[0], "evalsha") {
		return // nor does the server know it yet
	}
	if !strings.Contains(text, old) {
		panic("sim: the script of " + c.name + " has no " + old)
	}
	args := append([]string{"EVAL", strings.Replace(text, old, by, 1)}, c.args[2:]...)
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	c.frame = []byte(b.String())
}

// invalidates reports whether the command, when executed, invalidates its keys.
func (c *command) invalidates() bool {
	switch c.name {
	case cmdInvalidate, cmdBegin, cmdInvalidatePart, cmdExpire, cmdBlock, cmdUnblock:
		return true
	}
	return false
}

// concerns reports whether the command, if it invalidates, does so to a key or a
// tag, by the oracle's name for it.
func (c *command) concerns(name string, partition int) bool {
	if c.name != cmdInvalidatePart {
		return slices.Contains(c.keys, name) || slices.Contains(c.tags, name)
	}
	region, _ := split(name)
	return slices.Contains(c.parts, partition) && slices.Contains(c.regions, region)
}

// arguments are those of a script behind its keys.
func (c *command) arguments() []string {
	n, _ := strconv.Atoi(c.args[2])
	return c.args[3+n:]
}

// executed completes the command with its reply. ok is false if the server has
// done nothing (an unknown script).
func (c *command) executed(frame []byte) (ok bool) {
	c.reply, _ = redistest.Decode(frame)
	if _, failed := c.reply.(error); failed {
		return false
	}
	list, _ := c.reply.([]any)
	switch c.name {
	case cmdInvalidate, cmdBegin, cmdInvalidatePart, cmdExpire, cmdBlock, cmdUnblock, cmdTags:
		c.seq = number(list, 0)
	case cmdGetOrLease, cmdFill, cmdRevalidate:
		c.seq = number(list, 1)
		if len(list) == 3 && len(c.keys) == 1 {
			c.noteValue(c.keys[0], list[2])
		}
	case cmdGet:
		c.readValues(list)
	case cmdProbe:
		c.seqs = make(map[int]uint64)
		for i, p := range c.parts {
			if at := 4 + 4*i; at < len(list) { // behind 1, the time, run id and era
				c.seqs[p] = number(list, at)
			}
		}
	}
	return true
}

// readValues notes what an MGET has read: for each value the sequence of its
// partition is among the replies too.
func (c *command) readValues(list []any) {
	for i, name := range c.args[1:] {
		m := keyName.FindStringSubmatch(name)
		if m == nil || i >= len(list) {
			continue
		}
		if m[4] == "s" {
			c.seq = number(list, i)
		} else if m[2] == "v" {
			c.noteValue(m[3], list[i])
		}
	}
}

func (c *command) noteValue(key string, stored any) {
	s, ok := stored.(string)
	if !ok {
		return
	}
	if v, ok := valueIn(s); ok {
		if c.values == nil {
			c.values = make(map[string]value)
		}
		c.values[key] = v
	}
}

// tagPrefix makes a tag's name one that no key has: to the oracle a tag is a key
// without a region.
const tagPrefix = ":"

// status is the first element of a script's reply.
func (c *command) status() string {
	if list, ok := c.reply.([]any); ok && len(list) > 0 {
		s, _ := list[0].(string)
		return s
	}
	return ""
}

// parseUint is a number, or 0.
func parseUint(s string) uint64 {
	n, _ := strconv.ParseUint(s, 10, 64)
	return n
}

func number(list []any, i int) uint64 {
	if i >= len(list) {
		return 0
	}
	switch v := list[i].(type) {
	case int64:
		return uint64(v)
	case string:
		return parseUint(v)
	}
	return 0
}

// value identifies what the origin or a Set has given out: of which key, which
// version, and by which load. It is text, so that it can be found in what is
// stored.
type value struct {
	key     string // "region:key"
	version uint64
	id      int // of the load, or of the Set
}

func (v value) String() string { return fmt.Sprintf("<<%s#%d#%d>>", v.key, v.version, v.id) }

var valueText = regexp.MustCompile(`<<([^#<>]+)#(\d+)#(\d+)>>`)

func valueIn(s string) (value, bool) {
	if !strings.Contains(s, "<<") {
		return value{}, false
	}
	m := valueText.FindStringSubmatch(s)
	if m == nil {
		return value{}, false
	}
	id, _ := strconv.Atoi(m[3])
	return value{m[1], parseUint(m[2]), id}, true
}

func TestCommandsAreRecognised(t *testing.T) {
	c, err := parseCommand([]byte("*5\r\n$7\r\nEVALSHA\r\n$40\r\n" + digest(source(cmdRelease)) +
		"\r\n$1\r\n1\r\n$16\r\nsim:{1.2.1}:l:r:k\r\n$16\r\n0123456789abcdef\r\n"))
	if err == nil {
		t.Fatalf("a bulk of a wrong length was accepted: %+v", c)
	}
	c, err = parseCommand([]byte("*5\r\n$7\r\nEVALSHA\r\n$40\r\n" + digest(source(cmdRelease)) +
		"\r\n$1\r\n1\r\n$17\r\nsim:{1.2.1}:l:r:k\r\n$16\r\n0123456789abcdef\r\n"))
	if err != nil || c.name != cmdRelease || len(c.keys) != 1 || c.keys[0] != "r:k" || c.token != "0123456789abcdef" {
		t.Errorf("got %+v, %v", c, err)
	}
	if v, ok := valueIn("\xd0\x9f…" + value{"r:k", 3, 17}.String()); !ok || v != (value{"r:k", 3, 17}) {
		t.Errorf("got %v, %v", v, ok)
	}
}
