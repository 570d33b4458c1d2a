package l1

import (
	"math/bits"
	"runtime"
	"unsafe"
)

// cellCount is the number of cells over which a counter is spread: a power of
// two, and enough that two goroutines that run at once seldom share one. They
// would go on sharing it as long as both live.
func cellCount() int { return 1 << bits.Len(uint(16*runtime.NumCPU()-1)) }

// cellIndex picks a cell for the calling goroutine: by the address of its
// stack, which differs between goroutines and stays the same from call to
// call. A goroutine so finds its cell in the cache of the processor that it
// runs on. Choosing at random would spread the load as well, but then every
// cell is written by every processor in turn and is never where it is needed;
// choosing by the key's hash would put all readers of one hot key on one cell.
//
// Nothing depends on the choice but speed: a stack that moves merely takes its
// goroutine to another cell.
func cellIndex(cells int) uint64 {
	const (
		smallestStack = 11                 // log2 of 2 KiB
		golden        = 0x9E3779B97F4A7C15 // 2^64 over the golden ratio: Fibonacci hashing
	)
	var here byte
	address := uint64(uintptr(unsafe.Pointer(&here)))
	return (address >> smallestStack * golden >> 32) & uint64(cells-1)
}
