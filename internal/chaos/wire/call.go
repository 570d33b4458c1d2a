package wire

import "time"

// Names of the calls that the controller answers.
const (
	HubLoad   = "Hub.Load"   // keys → versions
	HubIntend = "Hub.Intend" // keys whose leases may be ended or done without → number
	HubCommit = "Hub.Commit" // Commit → the new versions
	HubReport = "Hub.Report" // Batch → Orders
)

// Env is the environment variable that makes a process an instance. It holds
// the settings as JSON.
const Env = "DOPPIO_CHAOS_INSTANCE"

// ID names one life of one instance: a process that replaces a killed one has
// forgotten what that one had promised.
type ID struct {
	Instance int
	Life     int
}

// Settings are what an instance needs to know.
type Settings struct {
	ID     ID
	Socket string // the controller's
	Redis  string // host:port, the instance's own way to Redis
	Seed   uint64

	Bound     time.Duration // MaxStaleness of the library
	L2Timeout time.Duration // of both systems
	Regions   Regions       // one of them: the former mix of operations
	Instances int           // how many there are

	Skew        float64 // of the Zipf distribution; above 1
	Readers     int     // of each system; each makes Burst reads every Pace
	Burst       int
	Pace        time.Duration
	Writers     int // each commits and invalidates once every WriteEvery
	WriteEvery  time.Duration
	ReportEvery time.Duration

	Bulk int // keys of a bulk invalidation
}

// Batch is what has happened since the last one.
type Batch struct {
	ID      ID
	Through int64 // every read that began before, and every invalidation that ended before, has been reported
	Reads   []Read
	Deletes []Invalidation
	Loads   []Load
	Ended   []uint64 // intents that have come to their end
	Sample  Sample
	Swept   int // the last order to sweep that was carried out
	Bulked  int // the same for bulk invalidations
}

// Orders are what the controller wants from now on.
type Orders struct {
	Quiet bool // no commits
	Risky bool // every write is a Mutate, and most take their time
	Sweep int  // when it has grown: read every key in every way
	Bulk  int  // when it has grown: invalidate many keys that nobody reads
	Stop  bool // end in an orderly way
}
