package redistest_test

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
)

func TestCommandMatchers(t *testing.T) {
	script, other := redis.NewScript("return 1"), redis.NewScript("return 2")
	get, key := redistest.Command("get", "MGET"), redistest.Argument("k")
	for _, tc := range []struct {
		name  string
		match func([][]byte) bool
		args  []string
		want  bool
	}{
		{"name", get, []string{"GET", "k"}, true},
		{"name in another case", get, []string{"mget", "k"}, true},
		{"another name", get, []string{"GETDEL", "k"}, false},
		{"argument", key, []string{"MGET", "j", "k"}, true},
		{"no such argument", key, []string{"k"}, false},
		{"both", redistest.AllOf(get, key), []string{"GET", "k"}, true},
		{"one of both", redistest.AllOf(get, key), []string{"SET", "k", "v"}, false},
		{"script by hash", redistest.Script(other, script), []string{"EVALSHA", script.Hash(), "0"}, true},
		{"script by hash, upper case", redistest.Script(script), []string{"evalsha_ro", strings.ToUpper(script.Hash()), "0"}, true},
		{"script by source", redistest.Script(script), []string{"EVAL", "return 1", "0"}, true},
		{"another script", redistest.Script(script), []string{"EVAL", "return 2", "0"}, false},
		{"its source elsewhere", redistest.Script(script), []string{"SET", "return 1", "0"}, false},
		{"no script", redistest.Script(script), []string{"PING"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var args [][]byte
			for _, a := range tc.args {
				args = append(args, []byte(a))
			}
			if got := tc.match(args); got != tc.want {
				t.Errorf("%v", got)
			}
		})
	}
}
