package redistest

import (
	"bytes"
	"strings"
)

// commandName returns the name in the form in which it is counted.
func commandName(args [][]byte) string { return strings.ToUpper(string(args[0])) }

// isPubSubCommand reports whether the command is answered by a push for every
// channel instead of by one reply.
func isPubSubCommand(name string) bool {
	switch name {
	case "SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE":
		return true
	}
	return false
}

// isHandshake reports whether the command only prepares a connection.
func isHandshake(name string) bool {
	switch name {
	case "HELLO", "AUTH", "SELECT", "CLIENT", "READONLY", "READWRITE":
		return true
	}
	return false
}

// isPrelude reports whether the command changes what later ones on the same
// connection mean, so that a held one needs it too.
func isPrelude(name string) bool {
	return name == "HELLO" || name == "AUTH" || name == "SELECT"
}

// endsReplies reports whether what follows on the connection is no longer one
// reply for each command.
func endsReplies(name string, args [][]byte) bool {
	switch name {
	case "MONITOR", "SYNC", "PSYNC":
		return true
	case "CLIENT":
		return len(args) > 1 && bytes.EqualFold(args[1], []byte("REPLY"))
	}
	return false
}

// push is what a server sends without being asked for each, and what it
// confirms subscriptions with.
type push struct {
	message bool
	channel string
	payload []byte
}

// pushOf recognises a push: in RESP3 by its type, in RESP2, on a connection
// that subscribes, by the first element of an array.
func pushOf(frame []byte, subscriber bool) (push, bool) {
	typed := frame[0] == '>'
	if !typed && (!subscriber || frame[0] != '*') {
		return push{}, false
	}
	parts, err := bulks(frame)
	if err != nil || len(parts) == 0 {
		return push{}, typed
	}
	switch string(parts[0]) {
	case "message", "smessage":
		if len(parts) == 3 {
			return push{message: true, channel: string(parts[1]), payload: parts[2]}, true
		}
	case "pmessage":
		if len(parts) == 4 {
			return push{message: true, channel: string(parts[2]), payload: parts[3]}, true
		}
	case "subscribe", "psubscribe", "ssubscribe", "unsubscribe", "punsubscribe", "sunsubscribe":
		return push{}, true
	}
	return push{}, typed
}
