package model

// Rules about what Redis loses during a write, and about tags under tombstones; see
// [Rule].
const (
	// UnblockInvalidatesAnyway: a Mutate invalidates at its end also if its tombstone is not there any more.
	UnblockInvalidatesAnyway Rule = iota + afterTagRules
	// RetriedLeavesTombstone: where the origin lags behind, what is sent again leaves a tombstone, too.
	RetriedLeavesTombstone
	// LateAcksAreSentAgain: and so is what is confirmed only after the partition has started over.
	LateAcksAreSentAgain
	// FillStatesGrant: a value in Redis says at which number its lease was granted, not at which it was stored.
	FillStatesGrant
	// BlockedLoadIsLabelled: what was loaded because a tombstone blocked the key is judged by its tag like any other load.
	BlockedLoadIsLabelled

	afterLostRules
)

var lostRuleNames = [afterLostRules - afterTagRules]string{
	"UnblockInvalidatesAnyway", "RetriedLeavesTombstone", "LateAcksAreSentAgain", "FillStatesGrant", "BlockedLoadIsLabelled",
}
