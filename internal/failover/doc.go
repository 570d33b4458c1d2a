// Package failover checks the guarantees of package tiered against a real
// Redis that changes its primary: behind Sentinel, as a Cluster, and with a
// primary that was replaced and does not know it.
//
// It has tests only. Each runs a few instances under a small load, breaks
// Redis, and asks an oracle that knows every commit whether any instance has
// returned a value that is older than it may be. Where the guarantee leaves
// room (after a failover that loses acknowledged writes it is D+R instead of D)
// the test logs how much of it was used.
package failover
