package model

// Rules of loads that ask whether a value is unchanged, where that meets reads past L1,
// loads ahead of time, tags, and values that are served past their lives; see [Rule].
const (
	// OutlivedIsNotAsked: nobody asks about a copy that L1 goes on holding though a newer value was to take its place.
	OutlivedIsNotAsked Rule = iota + afterLostRules
	// BypassAsksAboutNoCopy: who reads past L1 does not ask about the copy there.
	BypassAsksAboutNoCopy
	// ForcedRenewalCounts: a forced load whose value is unchanged is announced nevertheless.
	ForcedRenewalCounts
	// RenewalEndsWithClear: a renewal needs a value from after the last Clear.
	RenewalEndsWithClear
	// UnchangedTagsAreJudged: the tags of what Redis has are judged before anybody asks about it.
	UnchangedTagsAreJudged
	// UnchangedTagsAreVouched: nobody asks about what may have been invalidated by its tag, as far as was heard.
	UnchangedTagsAreVouched
	// HeardIncludesTags: an unchanged value is as old as what was heard of its tag, too.
	HeardIncludesTags
	// UnchangedKeepsTagMark: an unchanged value includes no invalidation of its tag that it did not include.
	UnchangedKeepsTagMark
	// RenewalKeepsStamp: nor does it in Redis.
	RenewalKeepsStamp
	// FormerTagIsNotAsked: nobody asks about what is from before a failover of its tag's partition.
	FormerTagIsNotAsked
	// FormerTagIsSoughtAfterMark: which is looked for after its tag was judged.
	FormerTagIsSoughtAfterMark
	// RenewedTaggedIsNotKept: L1 does not keep an unchanged value that has a tag and that Redis has renewed.
	RenewedTaggedIsNotKept
	// RenewedReplacesStale: but forgets what it has, which could be served past its life.
	RenewedReplacesStale

	afterAskRules
)

var askRuleNames = [afterAskRules - afterLostRules]string{
	"OutlivedIsNotAsked", "BypassAsksAboutNoCopy", "ForcedRenewalCounts", "RenewalEndsWithClear",
	"UnchangedTagsAreJudged", "UnchangedTagsAreVouched", "HeardIncludesTags",
	"UnchangedKeepsTagMark", "RenewalKeepsStamp", "FormerTagIsNotAsked", "FormerTagIsSoughtAfterMark", "RenewedTaggedIsNotKept", "RenewedReplacesStale",
}
