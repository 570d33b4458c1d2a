package redistest

import (
	"crypto/sha1"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// action is what a rule does with a command.
type action int

const (
	dropReply action = iota // forward it, cut instead of passing the reply
	cutBefore               // cut instead of forwarding it
	holdCommand
	holdReply
)

// rule is an action for the next commands, or messages, that match. Its left is
// guarded by Proxy.mu.
type rule struct {
	match        func(args [][]byte) bool
	matchMessage func(channel string, payload []byte) bool
	action       action
	left         int   // commands it is still for; of a message rule always one
	held         *Held // of what holds
}

func (p *Proxy) addRule(r *rule) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.left > 0 {
		p.rules = append(p.rules, r)
	}
}

// removeRule forgets a rule that has not applied yet.
func (p *Proxy) removeRule(r *rule) {
	p.mu.Lock()
	defer p.mu.Unlock()
	is := func(other *rule) bool { return other == r }
	p.rules = slices.DeleteFunc(slices.Clone(p.rules), is)
	p.messageRules = slices.DeleteFunc(slices.Clone(p.messageRules), is)
}

// ClearRules forgets what [Proxy.DropReplyAfter], [Proxy.CutBefore],
// [Proxy.Hold], [Proxy.HoldReply] and [Proxy.HoldMessage] have not applied yet.
func (p *Proxy) ClearRules() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules, p.messageRules = nil, nil
}

// DropReplyAfter lets the next n commands that match through to the server,
// and cuts the connection instead of passing their reply: the command was
// executed and the client does not know. What was asked before on the same
// connection is answered, what was asked after it is not (it may be executed).
//
// args are the command's, its name first (EVALSHA, hash, …). A script that is
// not loaded is answered NOSCRIPT, and then that reply is what gets lost: load
// it first. Not for the subscribe family, whose replies look like messages. Of
// several rules that match, the oldest applies.
func (p *Proxy) DropReplyAfter(match func(args [][]byte) bool, n int) {
	p.addRule(&rule{match: match, action: dropReply, left: n})
}

// CutBefore cuts the connection instead of forwarding the next n commands that
// match: they are never executed, nor is what follows them on the connection.
// What was asked before is executed and answered.
func (p *Proxy) CutBefore(match func(args [][]byte) bool, n int) {
	p.addRule(&rule{match: match, action: cutBefore, left: n})
}

// Command matches commands by name, in any case.
func Command(names ...string) func(args [][]byte) bool {
	return func(args [][]byte) bool {
		for _, name := range names {
			if strings.EqualFold(string(args[0]), name) {
				return true
			}
		}
		return false
	}
}

// Script matches calls of any of the scripts, by hash (EVALSHA) or by source
// (EVAL), the read-only variants included.
func Script(scripts ...*redis.Script) func(args [][]byte) bool {
	return func(args [][]byte) bool {
		if len(args) < 2 {
			return false
		}
		var hash string
		switch strings.ToUpper(string(args[0])) {
		case "EVALSHA", "EVALSHA_RO":
			hash = strings.ToLower(string(args[1]))
		case "EVAL", "EVAL_RO":
			sum := sha1.Sum(args[1])
			hash = hex.EncodeToString(sum[:])
		}
		for _, s := range scripts {
			if hash == s.Hash() {
				return true
			}
		}
		return false
	}
}

// Argument matches commands that have arg among their arguments, for example a
// key.
func Argument(arg string) func(args [][]byte) bool {
	return func(args [][]byte) bool {
		for _, a := range args[1:] {
			if string(a) == arg {
				return true
			}
		}
		return false
	}
}

// AllOf matches commands that all the given functions match.
func AllOf(matches ...func(args [][]byte) bool) func(args [][]byte) bool {
	return func(args [][]byte) bool {
		for _, match := range matches {
			if !match(args) {
				return false
			}
		}
		return true
	}
}
