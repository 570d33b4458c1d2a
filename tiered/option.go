package tiered

import (
	"errors"
	"fmt"
	"time"
)

// Option changes one call. It is a plain value: passing one does not allocate
// by itself. Options may be kept and used for any number of calls at once, except
// one of [WithInfo]. An option that makes no sense for a call is an
// [ErrInvalidOption].
type Option struct {
	kind optionKind
	ttl  time.Duration
	info *Info
	tags []string
}

type optionKind uint8

const (
	optTTL optionKind = iota + 1
	optInfo
	optBypassL1
	optForceLoad
	optTags
)

// WithTTL is the life of the value that the call stores, in place of
// Config.TTL and Config.TTLFor. It must be positive. In a call that joins a load
// under way, that load's life counts; in a load that gathers misses ([Coalescing]),
// that of each miss. For GetOrLoad, LoadIf, GetOrLoadMany, Set and SetMany.
// (Loading.Get and Loading.GetMany count as GetOrLoad and GetOrLoadMany.)
func WithTTL(ttl time.Duration) Option { return Option{kind: optTTL, ttl: ttl} }

// WithInfo fills in where the value came from, and how long it lives. For Get,
// GetOrLoad and LoadIf. A call for several keys has several values, and takes none.
// info must not be used by two calls at once.
func WithInfo(info *Info) Option { return Option{kind: optInfo, info: info} }

// BypassL1 reads past this instance's memory: what the call returns was in
// Redis, or was loaded, after the call began. For Get, GetMany, GetOrLoad, LoadIf
// and GetOrLoadMany of a region that uses Redis.
func BypassL1() Option { return Option{kind: optBypassL1} }

// ForceLoad loads even if the value is cached, and replaces the cached value
// on all instances. The load begins after the call. (In a region that lives in L1
// alone it ends the copies of all instances, and nothing takes their place.) For
// GetOrLoad, LoadIf and GetOrLoadMany.
func ForceLoad() Option { return Option{kind: optForceLoad} }

// WithTags adds to the tags of the value that the call stores, besides those of
// Config.Tags: see [Node.InvalidateTags]. A negative entry has these alone. In a
// call that joins a load under way, that load's tags count. An error in a region with
// Config.OriginLag. For GetOrLoad, LoadIf, GetOrLoadMany, Set and SetMany.
//
// They are the call's and not the key's: who loads the key next, on any instance,
// gives them again, or the value has them no longer. That holds for a load ahead of
// time ([Config].RefreshAhead) and for [Region.Refresh], which gives none, too.
func WithTags(tags ...string) Option { return Option{kind: optTags, tags: tags} }

// operation is what an option is used for.
type operation uint8

const (
	opGet operation = 1 << iota
	opGetOrLoad
	opSet
)

// call is what the options of one call amount to, but for what they point to:
// see infoOf and tagsOf.
type call struct {
	ttl    time.Duration
	tags   []string
	bypass bool
	force  bool
	asks   bool // the load can ask about a prior value
}

// resolve folds options into a call, or names all that is wrong with them. It keeps no
// pointer that is in them: then neither the caller's slice nor what it points to need
// move to the heap, and a call with options that L1 answers allocates nothing.
func resolve(op operation, mode Mode, opts []Option) (c call, err error) {
	for i := range opts {
		o := &opts[i]
		if problem := o.problem(op, mode); problem != nil {
			err = errors.Join(err, fmt.Errorf("%w: %w", ErrInvalidOption, problem))
			continue
		}
		switch o.kind {
		case optTTL:
			c.ttl = o.ttl
		case optBypassL1:
			c.bypass = true
		case optForceLoad:
			c.force = true
		case optInfo, optTags: // see infoOf and tagsOf
		}
	}
	return c, err
}

// problem is what is wrong with an option of a call; nil: nothing.
func (o *Option) problem(op operation, mode Mode) error {
	switch {
	case o.kind.uses()&op == 0:
		return fmt.Errorf("%s cannot be used with %s", o.kind, op)
	case o.kind == optTTL && o.ttl <= 0:
		return fmt.Errorf("WithTTL(%v) is not positive", o.ttl)
	case o.kind == optInfo && o.info == nil:
		return errors.New("WithInfo(nil)")
	case o.kind == optBypassL1 && mode == L1Only:
		return errors.New("BypassL1 for a region that lives in L1 only")
	case o.kind == optTags:
		if err := checkTags(o.tags); err != nil {
			return fmt.Errorf("WithTags: %w", err)
		}
	}
	return nil
}

// uses are the operations that an option is for.
func (k optionKind) uses() operation {
	switch k {
	case optTTL, optTags:
		return opGetOrLoad | opSet
	case optInfo, optBypassL1:
		return opGet | opGetOrLoad
	case optForceLoad:
		return opGetOrLoad
	default:
		return 0
	}
}

// infoOf is where the call wants to be told about its value; nil: nowhere.
func infoOf(opts []Option) (info *Info) {
	for i := range opts {
		if opts[i].info != nil {
			info = opts[i].info
		}
	}
	return info
}

func (k optionKind) String() string {
	switch k {
	case optTTL:
		return "WithTTL"
	case optInfo:
		return "WithInfo"
	case optBypassL1:
		return "BypassL1"
	case optForceLoad:
		return "ForceLoad"
	case optTags:
		return "WithTags"
	default:
		return "the zero Option"
	}
}

func (o operation) String() string {
	switch o {
	case opGet:
		return "Get"
	case opGetOrLoad:
		return "GetOrLoad"
	default:
		return "Set"
	}
}
