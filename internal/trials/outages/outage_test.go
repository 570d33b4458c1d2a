package outages_test

import (
	"bufio"
	"context"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// outage is one way in which Redis is out of order.
type outage struct {
	name  string
	made  string   // how, for the table
	args  []string // of redis-server
	sign  string   // what a command is answered with; empty: nothing
	begin func(t *testing.T, r *rig)
	end   func(t *testing.T, r *rig)
}

// slowness is what each reply is held back for in the outage of that name.
const slowness = 200 * time.Millisecond

var outages = []outage{
	{
		name: "dead", made: "SIGKILL; comes back empty",
		begin: func(_ *testing.T, r *rig) { r.server.Kill() },
		end:   func(t *testing.T, r *rig) { t.Helper(); r.server.Restart(); r.connect(t) },
	},
	{
		name: "black hole", made: "a proxy swallows all bytes, both ways",
		begin: func(_ *testing.T, r *rig) { r.eachProxy(func(i *instance) { i.proxy.BlackHole(true) }) },
		end:   func(_ *testing.T, r *rig) { r.eachProxy(func(i *instance) { i.proxy.BlackHole(false) }) },
	},
	{
		name: "slow", made: "a proxy holds back every reply for 200 ms",
		begin: func(_ *testing.T, r *rig) { r.eachProxy(func(i *instance) { i.proxy.Delay(slowness) }) },
		end:   func(_ *testing.T, r *rig) { r.eachProxy(func(i *instance) { i.proxy.Delay(0) }) },
	},
	{
		name: "OOM", made: "`maxmemory 1`, `noeviction`", sign: "OOM ",
		begin: func(t *testing.T, r *rig) { t.Helper(); r.ask(t, "CONFIG", "SET", "maxmemory", 1) },
		end:   func(t *testing.T, r *rig) { t.Helper(); r.ask(t, "CONFIG", "SET", "maxmemory", 0) },
	},
	{
		name: "READONLY", made: "`REPLICAOF` a host that is not there", sign: "READONLY ",
		begin: func(t *testing.T, r *rig) { t.Helper(); r.ask(t, "REPLICAOF", "127.0.0.1", 1) },
		end:   func(t *testing.T, r *rig) { t.Helper(); r.ask(t, "REPLICAOF", "NO", "ONE") },
	},
	{
		name: "LOADING", made: "`DEBUG RELOAD` with `key-load-delay`", sign: "LOADING ",
		args:  []string{"--enable-debug-command", "local", "--loading-process-events-interval-bytes", "1024"},
		begin: beginLoading,
		end:   func(t *testing.T, r *rig) { t.Helper(); r.ask(t, "CONFIG", "SET", "key-load-delay", 0) },
	},
	{
		name: "NOAUTH", made: "`CONFIG SET requirepass`, then `CLIENT KILL`", sign: "NOAUTH ",
		begin: func(t *testing.T, r *rig) {
			t.Helper()
			r.ask(t, "CONFIG", "SET", "requirepass", "secret")
			r.killClients(t)
		},
		end: func(t *testing.T, r *rig) { t.Helper(); r.ask(t, "CONFIG", "SET", "requirepass", "") },
	},
	{
		name: "MAXCLIENTS", made: "`CONFIG SET maxclients 1`, then `CLIENT KILL`", sign: "ERR max number of clients",
		begin: func(t *testing.T, r *rig) {
			t.Helper()
			r.ask(t, "CONFIG", "SET", "maxclients", 1)
			r.killClients(t)
		},
		end: func(t *testing.T, r *rig) { t.Helper(); r.ask(t, "CONFIG", "SET", "maxclients", 10_000) },
	},
}

// beginLoading makes the server load its own data again, so slowly that it would
// take minutes, while it answers with LOADING.
func beginLoading(t *testing.T, r *rig) {
	t.Helper()
	r.ask(t, "DEBUG", "POPULATE", 20_000, "ballast")
	r.ask(t, "CONFIG", "SET", "key-load-delay", 10_000) // µs for each key
	loader := r.server.Client(t, func(o *redis.Options) { o.ReadTimeout = -1 })
	r.background.Go(func() {
		if err := loader.Do(context.Background(), "DEBUG", "RELOAD").Err(); err != nil {
			t.Errorf("DEBUG RELOAD: %v", err)
		}
	})
}

// strike begins the outage and returns when it is there to be seen.
func (o *outage) strike(t *testing.T, r *rig) {
	t.Helper()
	o.begin(t, r)
	if o.sign == "" {
		return
	}
	eventually(t, "Redis answers "+strconv.Quote(o.sign), func() bool {
		return strings.HasPrefix(answer(r.server.Addr()), "-"+o.sign)
	})
}

// answer is what the server says to a write on a new connection. (A client would
// say that the connection broke where the server says why it closes it.)
func answer(addr string) string {
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	_, _ = c.Write([]byte("SET probe x PX 1\r\n"))
	line, _ := bufio.NewReader(c).ReadString('\n')
	return line
}
