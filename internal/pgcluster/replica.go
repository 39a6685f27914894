package pgcluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"strings"
)

// ReplicaConfig says how to make a replica. Its zero value makes an asynchronous one.
type ReplicaConfig struct {
	// Name is its application_name on the primary: letters, digits and
	// underscores. Empty means "replica". Two replicas of one primary need different names.
	Name string
	// Synchronous makes the primary wait for it: COMMIT returns when the replica has
	// written the commit record to disk (synchronous_commit = on), or as the session asks.
	Synchronous bool
	// Settings are added to those of the primary and replace them.
	Settings map[string]string
}

var replicaName = regexp.MustCompile(`^[A-Za-z0-9_]{1,63}$`)

// Replica makes a streaming replica of the running server, with pg_basebackup or, where
// there is none, by copying its files, and starts it. It returns when the replica streams and, if it is synchronous, counts as such.
// What was set with Set on the primary is not copied. The replica is a
// Cluster of its own, which the caller must close.
func (c *Cluster) Replica(ctx context.Context, cfg ReplicaConfig) (*Cluster, error) {
	if cfg.Name == "" {
		cfg.Name = "replica"
	}
	if !replicaName.MatchString(cfg.Name) {
		return nil, fmt.Errorf("replica name: %q is not of letters, digits and underscores", cfg.Name)
	}
	own := c.cfg
	own.Port = 0
	own.Settings = maps.Clone(c.cfg.Settings)
	if own.Settings == nil {
		own.Settings = map[string]string{}
	}
	maps.Copy(own.Settings, cfg.Settings)
	r, err := prepare(ctx, own)
	if err != nil {
		return nil, err
	}
	if err := r.follow(ctx, c, cfg); err != nil {
		return nil, errors.Join(fmt.Errorf("replica %s: %w", cfg.Name, err), r.Close())
	}
	return r, nil
}

func (c *Cluster) follow(ctx context.Context, primary *Cluster, cfg ReplicaConfig) error {
	if err := c.copy(ctx, primary); err != nil {
		return err
	}
	source := fmt.Sprintf("host=127.0.0.1 port=%d user=%s application_name=%s sslmode=disable",
		primary.Port(), primary.cfg.User, cfg.Name)
	// The primary's own, with its synchronous_standby_names, must not follow a promotion.
	if err := c.write("postgresql.auto.conf", "primary_conninfo = '"+source+"'\n"); err != nil {
		return err
	}
	if err := c.write("standby.signal", ""); err != nil {
		return err
	}
	if err := c.Start(ctx); err != nil {
		return err
	}
	streaming := "select exists (select from pg_stat_replication where state = 'streaming' and application_name = '" + cfg.Name + "'"
	if err := primary.until(ctx, streaming+")"); err != nil {
		return err
	}
	if !cfg.Synchronous {
		return nil
	}
	if err := primary.waitFor(ctx, cfg.Name); err != nil {
		return err
	}
	return primary.until(ctx, streaming+" and sync_state = 'sync')")
}

// waitFor adds a replica to those that a commit waits for; all of them have to answer.
func (c *Cluster) waitFor(ctx context.Context, name string) error {
	c.life.Lock()
	defer c.life.Unlock()
	names, err := c.ask(ctx, "show synchronous_standby_names")
	if err != nil {
		return err
	}
	all := []string{name}
	if _, list, found := strings.Cut(names, "("); found {
		all = append(strings.Split(strings.TrimSuffix(list, ")"), ", "), name)
	}
	return c.Set(ctx, "synchronous_standby_names", "FIRST "+strconv.Itoa(len(all))+" ("+strings.Join(all, ", ")+")")
}

// Promote makes a replica a primary of its own and returns when it takes writes.
func (c *Cluster) Promote(ctx context.Context) error {
	promoted, err := c.ask(ctx, "select pg_promote(true, 60)")
	if err != nil {
		return fmt.Errorf("promote: %w", err)
	}
	if promoted != "t" {
		return errors.New("promote: not done after 60s")
	}
	return nil
}

// CatchUp waits until the replica has replayed all that the primary had written when it was called.
func (c *Cluster) CatchUp(ctx context.Context, primary *Cluster) error {
	lsn, err := primary.ask(ctx, "select pg_current_wal_lsn()")
	if err != nil {
		return err
	}
	return c.until(ctx, "select pg_last_wal_replay_lsn() >= '"+lsn+"'::pg_lsn")
}

// PauseReplay makes a replica keep what it receives without applying it, and
// returns when it has paused.
func (c *Cluster) PauseReplay(ctx context.Context) error {
	if _, err := c.ask(ctx, "select pg_wal_replay_pause()"); err != nil {
		return err
	}
	return c.until(ctx, "select pg_get_wal_replay_pause_state() = 'paused'")
}

// ResumeReplay ends PauseReplay.
func (c *Cluster) ResumeReplay(ctx context.Context) error {
	_, err := c.ask(ctx, "select pg_wal_replay_resume()")
	return err
}
