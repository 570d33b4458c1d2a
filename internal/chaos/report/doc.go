// Package report tells what a run came to: as text, as Markdown, and as a chart
// of staleness and hit ratios over time.
package report
