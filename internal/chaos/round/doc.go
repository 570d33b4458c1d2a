// Package round is one run from beginning to end: a calm time, one fault after
// the other, each with the time until everything is as before, and at the end a
// read of every key in every tier of every instance. Its [Result] is what a
// report is made of, and what a test judges.
package round
