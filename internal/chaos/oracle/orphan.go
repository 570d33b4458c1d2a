package oracle

import "github.com/doppio-cache/doppio/internal/chaos/wire"

// orphan is a commit in the middle of a Mutate. If its process dies before the
// end of that, there is nothing but the end of the tombstone that promises its
// version to anybody.
type orphan struct {
	key     uint32
	version uint64
	wire.Tombstone
}

// bury judges what became of a commit whose tombstone has ended. If nothing that
// followed it was confirmed, the key's readers are promised its version from
// then on, unless Redis may have lost the tombstone before.
func (j *Judge) bury(o *orphan) {
	h := &j.keys[o.key]
	d := due{o.Ends, wire.Orphan}
	if h.hard[wire.Doppio].all.missed(o.version-1).at <= d.at || j.lossy(o.Since, d.at) {
		return
	}
	h.soft[wire.Doppio].all.note(o.version, d)
	h.hard[wire.Doppio].all.note(o.version, d)
	h.confirmed(wire.Doppio, o.version, d)
	if t := j.tally(wire.Doppio, d.at); t != nil {
		t.Writes[wire.Orphan].Done++
	}
}

// lossy reports whether Redis may have lost data between two moments.
func (j *Judge) lossy(from, to int64) bool {
	for i := max(0, j.phaseAt(from)); i < len(j.phases) && j.phases[i].Begins <= to; i++ {
		if j.phases[i].Lossy {
			return true
		}
	}
	return false
}
