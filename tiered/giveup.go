package tiered

import "github.com/doppio-cache/doppio/l2"

// endOr is end for an operation that may have brought a lease. giveUp is called if the
// observer ends the goroutine ([runtime.Goexit]): nobody gets to use the lease then, and
// it would be renewed for as long as the process lives.
func (s span) endOr(giveUp func(), err error) (now int64) {
	returned := false
	defer func() {
		if !returned {
			giveUp()
		}
	}()
	now = s.end(err)
	returned = true
	return now
}

// giveUpGranted releases the lease that an answer to get-or-lease has brought, if it has.
func (f *flight) giveUpGranted(reply *l2.Reply) {
	if reply.Status == l2.Granted {
		f.node.l2.Release(reply.Lease)
	}
}

// giveUpBegun releases leases that were begun.
func (r *region) giveUpBegun(begun []l2.Begun) {
	for i := range begun {
		if begun[i].Err == nil {
			r.node.l2.Release(begun[i].Lease)
		}
	}
}
