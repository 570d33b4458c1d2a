package keyspace

// Key is a key of a region together with its hash, as the packages below
// tiered pass it around.
type Key struct {
	Region string
	Name   string
	Hash   uint64 // Hash(Region, Name)
}

// Of returns the key of a region, hashed.
func Of(region, name string) Key {
	return Key{Region: region, Name: name, Hash: Hash(region, name)}
}
