package codec

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
)

// typeInfo is what a codec has to know about a type before it meets a value.
type typeInfo struct {
	err       error // why values cannot be carried faithfully, or nil
	recursive bool  // a value may contain values of a type around it
	byAddr    bool  // some part must be addressable to be encoded, for methods with pointer receivers mainly
	nilable   bool  // nil is a value, or the encoding of one
}

// typeCache remembers the typeInfo of each type that a codec has met.
type typeCache struct {
	dialect dialect
	infos   sync.Map // reflect.Type to *typeInfo
}

func (c *typeCache) of(t reflect.Type) *typeInfo {
	if info, ok := c.infos.Load(t); ok {
		return info.(*typeInfo)
	}
	info, _ := c.infos.LoadOrStore(t, inspect(c.dialect, t))
	return info.(*typeInfo)
}

// encodable looks up the type of v, which is a value or a pointer to one, and
// returns v in the form in which the library encodes it as if by pointer.
func (c *typeCache) encodable(v any) (any, *typeInfo, error) {
	t := reflect.TypeOf(v)
	if t == nil {
		return nil, nil, errors.New("codec: encode nil: no type")
	}
	pointer := t.Kind() == reflect.Pointer
	if pointer {
		t = t.Elem()
	}
	info := c.of(t)
	if info.err != nil {
		return nil, nil, info.err
	}
	if !pointer && info.byAddr {
		p := reflect.New(t)
		p.Elem().Set(reflect.ValueOf(v))
		v = p.Interface()
	}
	return v, info, nil
}

// decodable looks up the type that v, the target of a decoder, points to.
func (c *typeCache) decodable(v any) (*typeInfo, error) {
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Pointer || rv.IsNil() {
		return nil, fmt.Errorf("codec: decode into %T: not a pointer to a value", v)
	}
	info := c.of(rv.Type().Elem())
	return info, info.err
}

// inspect walks t and everything that it contains.
func inspect(d dialect, t reflect.Type) *typeInfo {
	c := checker{dialect: d, seen: map[place]bool{}}
	root := t.Name()
	if root == "" {
		root = t.String()
	}
	c.walk(place{t: t, addressable: true}, root)

	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		c.info.nilable = true
	default:
		c.info.nilable = c.opaque(t)
	}
	c.info.err = errors.Join(c.errs...)
	return &c.info
}

// checker walks a type depth first. Each type is visited once for each kind of
// place it stands in, so that cycles end and the cost is linear.
type checker struct {
	dialect dialect
	seen    map[place]bool // true while the walk is inside
	info    typeInfo
	errs    []error
}

// place is a type and what of its surroundings decides how it is encoded.
type place struct {
	t           reflect.Type
	addressable bool // false in a map, where methods with pointer receivers cannot be called
	key         bool // in the key of a map, where identity matters
}

const (
	timeKey       = "time.Time as a key: it comes back in another location and is not found"
	pointerKey    = "a pointer as a key loses its identity"
	anyInterface  = "interface: the dynamic type is lost (use a concrete type)"
	nestedPointer = "a nil behind a pointer comes back as a nil pointer"
)

func (c *checker) refuse(t reflect.Type, path, reason string) {
	c.errs = append(c.errs, &TypeError{Codec: c.dialect.codec(), Path: path, Type: t, Reason: reason})
}

func (c *checker) opaque(t reflect.Type) bool {
	k := t.Kind()
	return k != reflect.Pointer && k != reflect.Interface && c.dialect.own(t).method != ""
}

func (c *checker) walk(p place, path string) {
	if inside, ok := c.seen[p]; ok {
		c.info.recursive = c.info.recursive || inside
		return
	}
	c.seen[p] = true
	defer func() { c.seen[p] = false }()

	switch p.t.Kind() {
	case reflect.Pointer:
		c.pointer(p, path)
		return
	case reflect.Interface:
		c.refuse(p.t, path, anyInterface)
		return
	}
	if c.ownEncoding(p, path) {
		return
	}
	switch p.t.Kind() {
	case reflect.Struct:
		c.structure(p, path)
	case reflect.Map:
		c.mapping(p, path)
	case reflect.Slice, reflect.Array:
		asBytes, problem := c.dialect.bytes(p.t, p.addressable)
		switch {
		case problem != "":
			c.refuse(p.t, path, problem)
		case !asBytes:
			addressable := p.addressable || p.t.Kind() == reflect.Slice
			c.walk(place{p.t.Elem(), addressable, p.key}, path+"[]")
		case p.t.Kind() == reflect.Array:
			c.info.byAddr = true // msgpack takes a slice of it, or copies it to its own buffer
		}
	default:
		if reason := c.dialect.basic(p.t.Kind()); reason != "" {
			c.refuse(p.t, path, reason)
		}
	}
}

// ownEncoding deals with types that encode themselves.
func (c *checker) ownEncoding(p place, path string) bool {
	own := c.dialect.own(p.t)
	switch {
	case own.problem != "":
		c.refuse(p.t, path, own.problem)
	case own.method == "":
		return false
	case p.key && p.t == timeType:
		c.refuse(p.t, path, timeKey)
	case own.byAddr && !p.addressable:
		c.refuse(p.t, path, own.method+" has a pointer receiver and cannot be called in a map")
	case own.byAddr:
		c.info.byAddr = true
	}
	return true
}

func (c *checker) pointer(p place, path string) {
	if p.key {
		c.refuse(p.t, path, pointerKey)
		return
	}
	switch p.t.Elem().Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		c.refuse(p.t, path, nestedPointer)
		return
	}
	c.walk(place{t: p.t.Elem(), addressable: true}, path)
}

func (c *checker) mapping(p place, path string) {
	problem, walk := c.dialect.key(p.t.Key())
	switch {
	case problem != "":
		c.refuse(p.t.Key(), path+"[key]", problem)
	case walk:
		c.walk(place{t: p.t.Key(), key: true}, path+"[key]")
	}
	c.walk(place{t: p.t.Elem()}, path+"[]")
}

func (c *checker) structure(p place, path string) {
	l := c.dialect.layout(p.t)
	for _, lost := range l.losses {
		c.refuse(lost.typ, path+"."+lost.path, lost.reason)
	}
	for _, f := range l.fields {
		if f.option != "intern" { // such a string goes past its own methods
			c.walk(place{f.typ, p.addressable, p.key}, path+"."+f.path)
		}
	}
}
