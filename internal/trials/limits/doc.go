// Package limits tests what the cache takes when it is given too much: more keys
// than memory holds, values of any size or none, thousands of callers of one
// load, and a Redis that keeps every call waiting.
//
// Memory is measured as the heap after a collection, against what the options
// allow; goroutines are counted; that no lock is held during I/O is shown by
// calls that proceed while others wait in Redis.
package limits
