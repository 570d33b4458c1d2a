// Package main runs the long scenarios of the model of the coherence protocol,
// and prints for each how many states it has, how deep they lie, and how long
// it took to look at all of them.
//
//	go run ./internal/model/check               all long scenarios
//	go run ./internal/model/check -run 'queue'  those whose names match, of all
//	go run ./internal/model/check -run steps -without FloorBeforeLease
//
// The last one leaves out a rule, and prints what then goes wrong. The exit code
// is 1 if something is broken, or not all states were looked at.
package main
