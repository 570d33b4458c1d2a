// Package l2 is the shared tier: values, leases and invalidations in Redis. It
// speaks bytes.
package l2
