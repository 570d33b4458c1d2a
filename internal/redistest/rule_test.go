package redistest_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
)

func TestDropReplyAfterExecutes(t *testing.T) {
	each(t, func(t *testing.T, s setup) {
		c := s.p.Client(t)
		s.p.DropReplyAfter(redistest.Command("incr"), 2)
		for range 2 {
			if err := c.Incr(ctx, "n").Err(); err == nil {
				t.Error("an INCR was answered")
			}
		}
		if got := s.value(t, "n"); got != "2" {
			t.Errorf("executed %q times", got)
		}
		if got := c.Incr(ctx, "n").Val(); got != 3 {
			t.Errorf("the third: %d", got)
		}
	})
}

func TestFaultsOnOneCommandOfAPipeline(t *testing.T) {
	for name, tc := range map[string]struct {
		fault func(p *redistest.Proxy, match func([][]byte) bool)
		b     string // what key b has afterwards
	}{
		"DropReplyAfter": {func(p *redistest.Proxy, m func([][]byte) bool) { p.DropReplyAfter(m, 1) }, "1"},
		"CutBefore":      {func(p *redistest.Proxy, m func([][]byte) bool) { p.CutBefore(m, 1) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, s setup) {
				tc.fault(s.p, redistest.AllOf(redistest.Command("SET"), redistest.Argument("b")))
				// By hand, as go-redis forgets the replies that came before an error.
				conn, err := net.Dial("tcp", s.p.Addr())
				must(t, err)
				defer conn.Close()
				_, err = conn.Write([]byte(command("SET", "a", "1") + command("GET", "a") + command("SET", "b", "1") + command("SET", "d", "1")))
				must(t, err)
				got, _ := io.ReadAll(conn)
				if want := "+OK\r\n$1\r\n1\r\n"; string(got) != want {
					t.Errorf("replies %q, want %q", got, want)
				}
				if got := s.value(t, "b"); got != tc.b {
					t.Errorf("b is %q, want %q", got, tc.b)
				}
				if name == "CutBefore" && s.value(t, "d") != "" {
					t.Error("what follows a cut was executed")
				}
				must(t, s.p.Client(t).Set(ctx, "b", 1, 0).Err()) // the rule is spent
			})
		})
	}
}

func TestScriptMatchesBothWaysOfCallingIt(t *testing.T) {
	each(t, func(t *testing.T, s setup) {
		script := redis.NewScript("return redis.call('INCR', KEYS[1])")
		other := redis.NewScript("return 1")
		c := s.p.Client(t)
		s.p.CutBefore(redistest.Script(script), 2)
		if err := script.Eval(ctx, c, []string{"n"}).Err(); err == nil {
			t.Error("EVAL got through")
		}
		must(t, other.Eval(ctx, c, nil).Err())
		if err := script.EvalSha(ctx, c, []string{"n"}).Err(); err == nil || redis.HasErrorPrefix(err, "NOSCRIPT") {
			t.Errorf("EVALSHA got through: %v", err)
		}
		must(t, script.Run(ctx, c, []string{"n"}).Err())
	})
}

// command encodes a command as clients do.
func command(args ...string) string {
	s := fmt.Sprintf("*%d\r\n", len(args))
	for _, a := range args {
		s += fmt.Sprintf("$%d\r\n%s\r\n", len(a), a)
	}
	return s
}

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
