// Package fault is the catalogue of what is broken in a run. A [Fault] breaks
// one thing of a fleet, waits, and mends it; [All] are the faults of the long
// form, and [Storm] is many of them at once and in a row.
package fault
