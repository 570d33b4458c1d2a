package redistest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// waitTimeout bounds what a test waits for. Nothing here takes long; a test
// that waits for it in vain has failed.
const waitTimeout = 20 * time.Second

// Held is a command, a reply or a message that the proxy holds back: see
// [Proxy.Hold], [Proxy.HoldReply] and [Proxy.HoldMessage]. What is never
// released is thrown away when the proxy is closed.
type Held struct {
	p        *Proxy
	rule     *rule
	caught   chan struct{} // closed when there is something held
	released chan struct{} // closed by Release
	done     chan struct{} // closed when it has got where it was to go

	mu sync.Mutex // serialises catch and Release

	// Set before caught is closed.
	link    *link
	frame   []byte
	prelude [][]byte // of a command: what its connection began with

	// Set before done is closed.
	reply []byte
	err   error
}

func (p *Proxy) newHeld(r *rule) *Held {
	r.left = 1
	r.held = &Held{
		p:        p,
		rule:     r,
		caught:   make(chan struct{}),
		released: make(chan struct{}),
		done:     make(chan struct{}),
	}
	return r.held
}

// Hold keeps the next command that matches in the proxy, and with it all that
// the client sends on that connection afterwards, as a network that is slow
// does. The client waits, or gives up, or is cut off by [Held.CutClient]; the
// command is executed at [Held.Release], whether the client is still there or
// not. To that end it goes to the server over a connection of the proxy's own,
// with the HELLO, AUTH and SELECT of the client's, so it cannot be part of a
// MULTI or depend on WATCH.
func (p *Proxy) Hold(match func(args [][]byte) bool) *Held {
	r := &rule{match: match, action: holdCommand}
	h := p.newHeld(r)
	p.addRule(r)
	return h
}

// HoldReply forwards the next command that matches and holds back its reply
// and all that follows it on the connection, until [Held.Release]: the command
// has been executed when [Held.Wait] returns, and the client does not know.
// Not for the subscribe family.
func (p *Proxy) HoldReply(match func(args [][]byte) bool) *Held {
	r := &rule{match: match, action: holdReply}
	h := p.newHeld(r)
	p.addRule(r)
	return h
}

// HoldMessage holds back the next pub/sub message that matches, on its way to
// one subscriber, and all that follows it on that connection.
func (p *Proxy) HoldMessage(match func(channel string, payload []byte) bool) *Held {
	r := &rule{matchMessage: match, action: holdReply}
	h := p.newHeld(r)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.messageRules = append(p.messageRules, r)
	return h
}

// Wait returns when something is held. What the client sent before it on the
// same connection has been answered then.
func (h *Held) Wait(tb testing.TB) {
	tb.Helper()
	await(tb, h.caught, "nothing came that was to be held")
}

// Caught returns a channel that is closed when something is held.
func (h *Held) Caught() <-chan struct{} { return h.caught }

// CutClient closes the client's connection. A command that is held can be
// released nonetheless; a reply or a message is lost. It does nothing if
// nothing is held.
func (h *Held) CutClient() {
	if isClosed(h.caught) {
		h.link.close()
	}
}

// Release lets go of what is held, without waiting for the effect. If nothing
// is held yet, nothing will be. It is idempotent.
func (h *Held) Release() {
	h.p.removeRule(h.rule)
	h.mu.Lock()
	defer h.mu.Unlock()
	if isClosed(h.released) {
		return
	}
	close(h.released)
	if isClosed(h.caught) {
		h.start()
	}
}

// capture takes a command, and has caught it once what the client sent before
// it on the connection has been answered: so whoever has waited for it knows
// that this has been executed. l.commands is held.
func (h *Held) capture(l *link, frame []byte) {
	prelude := slices.Clone(l.prelude)
	h.p.spawn(func() {
		select {
		case <-l.whenIdle():
		case <-l.done:
		}
		h.catch(l, frame, prelude)
	})
}

// catch is called when the rule has been applied. Release may have come between
// the one and the other: then the thing goes on at once.
func (h *Held) catch(l *link, frame []byte, prelude [][]byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.link, h.frame, h.prelude = l, frame, prelude
	close(h.caught)
	if isClosed(h.released) {
		h.start()
	}
}

// start sets a released command going. Replies and messages need nothing: the
// link's deliver waits for released.
func (h *Held) start() {
	if h.rule.action == holdCommand {
		h.p.spawn(h.execute)
	}
}

// ReleaseAndWait releases what is held and returns when the server has answered
// the command, or the reply or message has been written to the client. It
// returns that reply or message as Go values: string, int64, nil, bool, error
// or []any of them (a map as keys and values in turn). It fails the test if
// nothing is held or there is no answer.
func (h *Held) ReleaseAndWait(tb testing.TB) any {
	tb.Helper()
	if !isClosed(h.caught) {
		tb.Fatal("redistest: released, but nothing is held: use Wait first")
	}
	h.Release()
	await(tb, h.done, "no end of what was held")
	if h.err != nil {
		tb.Fatalf("redistest: what was held did not get through: %v", h.err)
	}
	v, err := decode(h.reply)
	if err != nil {
		tb.Fatalf("redistest: %v in %q", err, h.reply)
	}
	return v
}

func await(tb testing.TB, c <-chan struct{}, complaint string) {
	tb.Helper()
	timer := time.NewTimer(waitTimeout)
	defer timer.Stop()
	select {
	case <-c:
	case <-timer.C:
		tb.Fatalf("redistest: %s within %v", complaint, waitTimeout)
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// finish notes how it ended. It is called once.
func (h *Held) finish(reply []byte, err error) {
	h.reply, h.err = reply, err
	close(h.done)
}

// execute sends a held command to the server and its reply to the client.
func (h *Held) execute() {
	l := h.link
	if args, err := commandArgs(h.frame); err == nil && isPubSubCommand(commandName(args)) {
		// A subscription means something on its own connection only.
		h.finish(nil, errors.New("a subscription is released without an answer"))
		l.resume(h.frame, nil)
		return
	}
	reply, err := h.p.ask(h.prelude, h.frame)
	h.finish(reply, err)
	if err != nil {
		l.close()
		return
	}
	l.resume(nil, reply)
}

// ask sends a command over a new connection, the prelude before it, and returns
// its reply.
func (p *Proxy) ask(prelude [][]byte, command []byte) ([]byte, error) {
	c, err := p.dial(p.ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	defer context.AfterFunc(p.ctx, func() { _ = c.Close() })()
	if _, err := c.Write(slices.Concat(slices.Concat(prelude...), command)); err != nil {
		return nil, err
	}
	var in splitter
	buf := make([]byte, 64<<10)
	for due := len(prelude) + 1; ; {
		frame, err := in.next()
		switch {
		case err != nil:
			return nil, err
		case frame == nil:
			n, err := c.Read(buf)
			in.write(buf[:n])
			if n == 0 && err != nil {
				return nil, fmt.Errorf("no reply to a command that was held: %w", err)
			}
		case frame[0] == '>': // not an answer
		default:
			if due--; due == 0 {
				return frame, nil
			}
		}
	}
}
