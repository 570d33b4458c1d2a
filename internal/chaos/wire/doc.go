// Package wire is what the controller of a run and the instances tell each
// other, and the clock by which they mean the same moment.
//
// The controller serves [Hub] over a unix socket with net/rpc. An instance is
// a process of its own: it gets its [Settings] in the environment, asks for
// versions ([HubLoad], [HubCommit]) and tells what it has seen ([HubReport]).
// It ends when the socket does.
package wire
