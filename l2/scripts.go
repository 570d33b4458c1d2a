package l2

import (
	_ "embed" // the scripts

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/keyspace"
)

// The scripts. Each touches keys of one partition only, gets all of them in
// KEYS, answers with an array of strings, and may run twice or late without
// harm; its head says why.
var (
	//go:embed lua/envelope.lua
	envelopeLua string
	//go:embed lua/get_or_lease.lua
	getOrLeaseLua string
	//go:embed lua/fill.lua
	fillLua string
	//go:embed lua/revalidate.lua
	revalidateLua string
	//go:embed lua/begin.lua
	beginLua string
	//go:embed lua/invalidate.lua
	invalidateLua string
	//go:embed lua/invalidate_partition.lua
	invalidatePartitionLua string
	//go:embed lua/expire.lua
	expireLua string
	//go:embed lua/touch.lua
	touchLua string
	//go:embed lua/tags.lua
	tagsLua string
	//go:embed lua/block.lua
	blockLua string
	//go:embed lua/unblock.lua
	unblockLua string
	//go:embed lua/renew.lua
	renewLua string
	//go:embed lua/release.lua
	releaseLua string

	getOrLeaseScript          = newScript(getOrLeaseLua)
	fillScript                = newScript(fillLua)
	revalidateScript          = newScript(revalidateLua)
	beginScript               = newScript(beginLua)
	invalidateScript          = newScript(invalidateLua)
	invalidatePartitionScript = newScript(invalidatePartitionLua)
	expireScript              = newScript(expireLua)
	touchScript               = newScript(touchLua)
	tagsScript                = newScript(tagsLua)
	blockScript               = newScript(blockLua)
	unblockScript             = newScript(unblockLua)
	renewScript               = newScript(renewLua)
	releaseScript             = newScript(releaseLua)
)

// script is the source of a script and the digest by which Redis knows it once
// it has run it.
type script struct{ source, digest string }

func newScript(body string) *script {
	source := keyspace.SequenceLua + envelopeLua + body
	return &script{source: source, digest: redis.NewScript(source).Hash()}
}

// args returns the arguments of EVALSHA, with room for n arguments of the
// script behind its keys.
func (s *script) args(keys []string, n int) []any {
	args := make([]any, 3, 3+len(keys)+n)
	args[0], args[1], args[2] = "evalsha", s.digest, len(keys)
	for _, k := range keys {
		args = append(args, k)
	}
	return args
}

// inFull turns the arguments of EVALSHA into those of EVAL, which carries the
// source. The command that they were made for keeps its own.
func (s *script) inFull(args []any) []any {
	full := append([]any(nil), args...)
	full[0], full[1] = "eval", s.source
	return full
}
