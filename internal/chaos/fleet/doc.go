// Package fleet runs the instances of a run, each a process of its own with
// its own way to one redis-server, and is their origin: it holds the versions
// of the keys, so that it knows every commit, and hands what they report to the
// oracle.
//
// A [Fleet] is made by [Start] and ended by the Cleanup of what it was given as
// testing.TB; [Outside] makes such a thing for a program that is no test. All
// processes end with the controller, on Linux even if that is killed. Methods
// are safe for concurrent use unless they say otherwise.
package fleet
