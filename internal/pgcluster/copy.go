package pgcluster

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
)

// copy fills the data directory with that of a running server.
func (c *Cluster) copy(ctx context.Context, from *Cluster) error {
	_, err := os.Stat(filepath.Join(c.bin, "pg_basebackup"))
	if errors.Is(err, fs.ErrNotExist) {
		return c.copyFiles(ctx, from)
	}
	return c.tool(ctx, "pg_basebackup", "-D", c.data(), "-d", from.URL("postgres"), "-X", "stream", "-c", "fast", "--no-sync")
}

// copyFiles does by hand what pg_basebackup does ("Making a Non-Exclusive Low-Level Backup" in PostgreSQL's documentation). What the
// server writes while it is read is made whole by the WAL, which the replica streams from the start of the backup on.
func (c *Cluster) copyFiles(ctx context.Context, from *Cluster) error {
	conn, err := pgx.Connect(ctx, from.URL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx) //nolint:errcheck // the backup ends with the session in any case
	version, begin, end := conn.PgConn().ParameterStatus("server_version"), "pg_backup_start", "pg_backup_stop(false)"
	if strings.HasPrefix(version, "14") {
		begin, end = "pg_start_backup", "pg_stop_backup(false, false)"
	}
	args := "('perdure', true)"
	if begin == "pg_start_backup" {
		args = "('perdure', true, false)"
	}
	if _, err := conn.Exec(ctx, "select "+begin+args); err != nil {
		return err
	}
	if err := c.copyTree(from.data()); err != nil {
		return err
	}
	var label string
	if err := conn.QueryRow(ctx, "select labelfile from "+end).Scan(&label); err != nil {
		return err
	}
	return c.write("backup_label", label)
}

// copyTree copies a data directory without what belongs to the process that runs on it.
func (c *Cluster) copyTree(from string) error {
	root, err := os.OpenRoot(from)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // nothing was written through it
	return fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the server has removed it meanwhile, as the WAL says
		}
		if err != nil {
			return err
		}
		to := filepath.Join(c.data(), path)
		if d.IsDir() {
			return errors.Join(os.MkdirAll(to, 0o700), c.account.own(to))
		}
		if path == "postmaster.pid" || path == "postmaster.opts" || !d.Type().IsRegular() || strings.HasPrefix(path, "pg_replslot/") {
			return nil
		}
		content, err := root.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return errors.Join(os.WriteFile(to, content, 0o600), c.account.own(to)) //nolint:gosec // in our own directory
	})
}
