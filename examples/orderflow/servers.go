package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/doppio-cache/doppio/examples/orderflow/internal/origin"
)

// patience is how long a server may take to answer for the first time.
const patience = 5 * time.Second

// servers are what the instances share: Redis, and where databases are made.
type servers struct {
	cfg     config
	redis   *redis.Options
	runID   string // part of every name, so that runs do not meet
	tempDir string
	cleanup []func(context.Context) error
}

// openServers finds or starts Redis. Call close at the end, also after an
// error.
func openServers(ctx context.Context, cfg config) (*servers, error) {
	s := &servers{cfg: cfg, runID: strings.ToLower(rand.Text()[:8])}
	if cfg.redis != "" {
		return s, s.useRedis(ctx)
	}
	mini := miniredis.NewMiniRedis()
	if err := mini.StartAddr("127.0.0.1:0"); err != nil {
		return s, fmt.Errorf("miniredis: %w", err)
	}
	s.cleanup = append(s.cleanup, func(context.Context) error { mini.Close(); return nil })
	s.redis = s.withTimeouts(&redis.Options{Addr: mini.Addr()})
	return s, nil
}

// prefix of everything that a system keeps in Redis.
func (s *servers) prefix(system string) string { return "orderflow-" + s.runID + "-" + system }

func (s *servers) close(ctx context.Context) error {
	var errs []error
	for i := len(s.cleanup) - 1; i >= 0; i-- {
		errs = append(errs, s.cleanup[i](ctx))
	}
	return errors.Join(errs...)
}

// withTimeouts sets what a service should set: the defaults wait for seconds.
func (s *servers) withTimeouts(o *redis.Options) *redis.Options {
	o.DialTimeout = 2 * s.cfg.l2Timeout
	o.ReadTimeout = s.cfg.l2Timeout
	o.WriteTimeout = s.cfg.l2Timeout
	o.ContextTimeoutEnabled = true
	o.PoolSize = 32
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return o
}

// useRedis takes the server of the flag.
func (s *servers) useRedis(ctx context.Context) error {
	options := &redis.Options{Addr: s.cfg.redis}
	if strings.Contains(s.cfg.redis, "://") {
		parsed, err := redis.ParseURL(s.cfg.redis)
		if err != nil {
			return errors.New("-redis is not a valid redis:// or rediss:// URL") // err may show the password
		}
		options = parsed
	} else if _, _, err := net.SplitHostPort(s.cfg.redis); err != nil {
		return fmt.Errorf("-redis: %q is not host:port", s.cfg.redis)
	}
	s.redis = s.withTimeouts(options)

	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	client := redis.NewClient(s.redis)
	defer client.Close()
	if err := client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("-redis: %s does not answer: %w", s.redis.Addr, err)
	}
	// An error is a server that has no such thing, or does not tell.
	if info, err := client.Info(ctx, "cluster").Result(); err == nil && strings.Contains(info, "cluster_enabled:1") {
		return fmt.Errorf("-redis: %s is part of a Cluster; this demo wants a standalone server (Doppio itself does not)", s.redis.Addr)
	}
	s.cleanup = append(s.cleanup, s.removeKeys)
	return nil
}

// removeKeys removes what this run has left on a server that is not ours.
func (s *servers) removeKeys(ctx context.Context) error {
	client := redis.NewClient(s.redis)
	defer client.Close()
	keys := client.Scan(ctx, 0, "*"+s.prefix("*"), 1000).Iterator()
	for keys.Next(ctx) {
		if err := client.Unlink(ctx, keys.Val()).Err(); err != nil {
			return fmt.Errorf("remove keys from Redis: %w", err)
		}
	}
	if err := keys.Err(); err != nil {
		return fmt.Errorf("remove keys from Redis: %w", err)
	}
	return nil
}

// database makes a database for a system. It is removed by close.
func (s *servers) database(ctx context.Context, system string) (*origin.DB, error) {
	var db *origin.DB
	var err error
	if s.cfg.postgres != "" {
		bounded, cancel := context.WithTimeout(ctx, 4*patience)
		defer cancel()
		db, err = origin.OpenPostgres(bounded, s.cfg.postgres, "orderflow_"+s.runID+"_"+system, s.cfg.originDelay)
		if err != nil {
			return nil, fmt.Errorf("-postgres: %w", err)
		}
	} else {
		if s.tempDir == "" {
			if s.tempDir, err = os.MkdirTemp("", "orderflow-"); err != nil {
				return nil, err
			}
			s.cleanup = append(s.cleanup, func(context.Context) error { return os.RemoveAll(s.tempDir) })
		}
		if db, err = origin.OpenSQLite(ctx, filepath.Join(s.tempDir, system+".db"), s.cfg.originDelay); err != nil {
			return nil, err
		}
	}
	s.cleanup = append(s.cleanup, db.Close)
	return db, nil
}
