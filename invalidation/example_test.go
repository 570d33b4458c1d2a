package invalidation_test

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/doppio-cache/doppio/invalidation"
)

// What a Lua script in Redis does with the parts of an announcement.
func ExampleEncoder_Announce() {
	head, mid, tail := invalidation.Encoder{Origin: 7}.Announce(3, []uint64{0xfeed})
	number := func(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

	const sequence, microseconds = 1_700_000_000_000_001, 1_700_000_001_000_000
	data := slices.Concat(head, number(sequence), mid, number(microseconds), tail)

	m, err := invalidation.Decode(data)
	fmt.Printf("%+v %v\n", m, err)
	// Output:
	// {Partition:3 Seq:1700000000000001 Time:1700000001000000 Origin:7 Hashes:[65261]} <nil>
}
