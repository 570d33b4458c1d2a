// Package instance is one process of the service that a run breaks: it embeds
// Doppio and, beside it, the baseline, reads and invalidates the same keys
// through both, and tells the controller what it has seen.
//
// [Requested] says whether this process is to be one, by its environment;
// [Run] then is the whole process, until the controller orders its end or is
// gone. Any program can be an instance, a test binary too.
package instance
