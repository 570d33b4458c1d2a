package l2

import (
	"crypto/rand"
	"sync"
)

// Token identifies one attempt to fill a key: it is the owner's mark in a lease
// and, later, in the value. The zero Token means none.
type Token [16]byte

// tokens is a buffer of random bytes, so that a token does not cost a system
// call. Only bytes not handed out yet are kept.
var tokens struct {
	mu   sync.Mutex
	left []byte
	buf  [1024]byte
}

// NewToken returns a random token, unlike any other. It is safe for concurrent
// use.
func NewToken() Token {
	tokens.mu.Lock()
	defer tokens.mu.Unlock()
	var t Token
	for t == (Token{}) {
		if len(tokens.left) < len(t) {
			// Read never fails: the program ends if the system has no randomness.
			_, _ = rand.Read(tokens.buf[:])
			tokens.left = tokens.buf[:]
		}
		n := copy(t[:], tokens.left)
		clear(tokens.left[:n])
		tokens.left = tokens.left[n:]
	}
	return t
}
