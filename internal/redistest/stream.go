package redistest

import (
	"errors"
	"time"
)

// forward sends on the commands that have come from the client completely, up
// to one that is held or cuts. It reports false when the link is finished. It
// is called with l.commands held.
func (l *link) forward() bool {
	var batch []byte
	for l.held == nil && !l.cutting {
		if l.isOpaque() {
			return l.toServer(batch) && l.toServerUnseen(l.in.rest())
		}
		frame, err := l.in.next()
		if err != nil {
			l.setOpaque()
			continue
		}
		if frame == nil {
			break
		}
		args, err := commandArgs(frame)
		if err != nil || len(args) == 0 { // the server says what it thinks of it
			batch = append(batch, frame...)
			continue
		}
		name := commandName(args)
		f, r := l.p.arrived(l, name, args)
		switch {
		case f.refuse:
			return false
		case f.hole:
			continue
		case r != nil && r.action == cutBefore:
			l.cutting = true
			return l.toServer(batch) && l.cutAfterReplies()
		case r != nil && r.action == holdCommand:
			l.held = r.held
			r.held.capture(l, frame)
			return l.toServer(batch)
		}
		l.expect(name, expectation(r))
		batch = append(batch, frame...)
		if isPrelude(name) {
			l.prelude = append(l.prelude, frame)
		}
		if endsReplies(name, args) {
			l.setOpaque()
		}
	}
	if l.cutting {
		l.in.rest()
	}
	return l.toServer(batch)
}

// expectation turns the rule for a command into what becomes of its reply.
func expectation(r *rule) expected {
	switch {
	case r == nil:
		return expected{}
	case r.action == dropReply:
		return expected{drop: true}
	default:
		return expected{gate: r.held}
	}
}

func (l *link) toServer(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	l.mu.Lock()
	server := l.server
	l.mu.Unlock()
	if server == nil {
		return true // accepted into a black hole
	}
	_, err := server.Write(b)
	return err == nil
}

// toServerUnseen forwards bytes that were not parsed.
func (l *link) toServerUnseen(b []byte) bool {
	f, _ := l.p.state(l)
	if f.hole {
		return true
	}
	return !f.refuse && l.toServer(b)
}

// receive reads what the server sends until it ends.
func (l *link) receive() {
	l.mu.Lock()
	server := l.server
	l.mu.Unlock()
	var in splitter
	buf := make([]byte, 64<<10)
	for {
		if !l.unstalled() {
			return
		}
		n, err := server.Read(buf)
		in.write(buf[:n])
		if !l.sort(&in) {
			return
		}
		if err != nil {
			l.send(chunk{data: in.rest()})
			l.send(chunk{cut: true, eof: true})
			return
		}
	}
}

// unstalled waits while the link is not to be read from. It reports false if the
// link was closed. A read that waits for the server when a stall begins still
// takes what comes next.
func (l *link) unstalled() bool {
	for {
		f, changed := l.p.state(l)
		if !f.stall {
			return true
		}
		select {
		case <-changed:
		case <-l.done:
			return false
		}
	}
}

// sort takes the complete frames from the server's stream and queues what is to
// be delivered. It reports false when the link is finished.
func (l *link) sort(in *splitter) bool {
	var batch []byte
	flush := func() bool {
		b := batch
		batch = nil
		return l.send(chunk{data: b})
	}
	// hold queues a frame behind a gate.
	hold := func(frame []byte, gate *Held) bool {
		if !flush() || !l.send(chunk{data: frame, gate: gate}) {
			return false
		}
		gate.catch(l, frame, nil)
		return true
	}
	for {
		if l.isOpaque() {
			batch = append(batch, in.rest()...)
			return flush()
		}
		frame, err := in.next()
		if err != nil {
			l.setOpaque()
			continue
		}
		if frame == nil {
			return flush()
		}
		var drop, cut bool
		var gate *Held
		if m, ok := pushOf(frame, l.p.isPubSub(l)); ok {
			if m.message {
				drop, gate = l.p.messageFate(m.channel, m.payload)
			}
		} else {
			var e expected
			e, cut = l.replied()
			gate = e.gate
			drop, cut = e.drop, cut || e.drop
		}
		switch {
		case gate != nil:
			if !hold(frame, gate) {
				return false
			}
		case !drop:
			batch = append(batch, frame...)
		}
		if cut {
			_ = flush() && l.send(chunk{cut: true})
			return false
		}
	}
}

// send queues a chunk for delivery. It reports false if the link is closed.
func (l *link) send(c chunk) bool {
	if len(c.data) == 0 && !c.cut {
		return true
	}
	c.at = time.Now()
	select {
	case l.out <- c:
	case <-l.done:
		return false
	}
	if isClosed(l.done) {
		l.finishQueue()
		return false
	}
	return true
}

// deliver writes to the client until the link is finished.
func (l *link) deliver() {
	defer l.finishQueue()
	defer l.close()
	for {
		select {
		case c := <-l.out:
			if !l.put(c) {
				return
			}
		case <-l.done:
			return
		}
	}
}

// finishQueue tells those who hold back what is never delivered. The link is
// closed; a chunk that send queues nonetheless, or queued just now, is seen by
// whoever of the two comes later.
func (l *link) finishQueue() {
	for {
		select {
		case c := <-l.out:
			c.finish(errLinkClosed)
		default:
			return
		}
	}
}

// put delivers one chunk when it is time. It reports false when the link is
// finished.
func (l *link) put(c chunk) bool {
	if c.gate != nil {
		select {
		case <-c.gate.released:
		case <-l.done:
			c.finish(errLinkClosed)
			return false
		}
	}
	for {
		f, changed := l.p.state(l)
		wait := time.Until(c.at.Add(f.delay))
		switch {
		case wait > 0:
		case !f.swallowsReplies():
			if c.cut {
				return false
			}
			_, err := l.client.Write(c.data)
			c.finish(err)
			return err == nil
		case !c.eof:
			c.finish(errSwallowed)
			return !c.cut
		default:
			wait = time.Hour // through a black hole nobody sees the server go
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-changed:
		case <-l.done:
			timer.Stop()
			c.finish(errLinkClosed)
			return false
		}
		timer.Stop()
	}
}

var (
	errLinkClosed = errors.New("the client's connection is closed")
	errSwallowed  = errors.New("a black hole swallowed it")
)

// finish tells who held the chunk back what became of it.
func (c chunk) finish(err error) {
	if c.gate != nil {
		c.gate.finish(c.data, err)
	}
}
