package perduredbos

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	_ "github.com/dbos-inc/dbos-transact-golang/dbos/driver/sqlite" // a Dir needs it, and only its users pay for it at run time
)

const (
	databaseFile = "runs.db"
	ownersDir    = "owners"
	claimsDir    = "claims"
	claimFiles   = 64 // what runs share
)

// directory keeps runs in a SQLite file, and a locked file for each executor that lives.
type directory struct{ path string }

func (d *directory) file() string { return filepath.Join(d.path, databaseFile) }

func (d *directory) there(context.Context) (bool, error) {
	_, err := os.Stat(d.file())
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, fs.ErrNotExist):
		info, err := os.Stat(d.path)
		if err == nil && !info.IsDir() {
			return false, d.fault(&fs.PathError{Op: "open", Path: d.path, Err: syscall.ENOTDIR})
		}
		return false, nil
	}
	return false, d.fault(err)
}

func (d *directory) create(context.Context) error {
	for _, dir := range []string{d.path, filepath.Join(d.path, ownersDir), filepath.Join(d.path, claimsDir)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return d.fault(err)
		}
	}
	d.sweep()
	return nil
}

// database opens the file. What is committed is on the disk: WAL with
// synchronous=FULL, where DBOS itself would use NORMAL, which may forget the last records when
// the machine loses its power.
func (d *directory) database(ctx context.Context, u use) (database, error) {
	abs, err := filepath.Abs(d.file())
	if err != nil {
		return database{}, d.fault(err)
	}
	sync := "synchronous(FULL)"
	if u == toMigrate {
		sync = "synchronous(NORMAL)" // a hundred transactions, on the disk when the file is closed
	}
	q := url.Values{"_txlock": {"immediate"}, "_pragma": {"busy_timeout(10000)", "foreign_keys(ON)", "journal_mode(WAL)", sync}}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", OmitHost: true, Path: abs, RawQuery: q.Encode()}).String())
	if err != nil {
		return database{}, d.fault(err)
	}
	db.SetMaxOpenConns(4)
	if err := usable(ctx, db, u); err != nil {
		return database{}, errors.Join(d.fault(err), db.Close())
	}
	return database{sqlite: db}, nil
}

// usable returns why the database cannot be used so, before DBOS tries again and again.
func usable(ctx context.Context, db *sql.DB, u use) error {
	if u == toRead {
		var tables int
		return db.QueryRowContext(ctx, "select count(*) from sqlite_master").Scan(&tables)
	}
	tx, err := db.BeginTx(ctx, nil) // immediate: nobody else writes, and this process may
	if err != nil {
		return err
	}
	return tx.Rollback()
}

func (d *directory) ownerFile(executor string) string {
	return filepath.Join(d.path, ownersDir, strings.ReplaceAll(executor, "/", "~"))
}

func (d *directory) own(_ context.Context, executor string) (owner, error) {
	name := d.ownerFile(executor)
	l, err := lockFile(name, true)
	if err != nil {
		return nil, d.fault(err)
	}
	return &fileOwner{lock: l, name: name}, nil
}

func (d *directory) alive(_ context.Context, executor string) (bool, error) {
	name := d.ownerFile(executor)
	if _, err := os.Stat(name); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return false, d.fault(err)
	}
	held, err := lockHeld(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, d.fault(err)
	}
	return held, nil
}

func (d *directory) claim(ctx context.Context, run string) (func(), bool, error) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(run)) // it never fails
	name := filepath.Join(d.path, claimsDir, fmt.Sprintf("%02d", h.Sum32()%claimFiles))
	ctx, cancel := context.WithTimeout(ctx, claimTime)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		l, err := lockFile(name, false)
		if err == nil {
			return func() { _ = l.Close() }, true, nil // the lock goes with the file
		}
		if !errors.Is(err, errLocked) {
			return nil, false, d.fault(err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return func() {}, false, nil
		}
	}
}

func (d *directory) close() error { return nil }

// sweep removes the files of executors that are gone.
func (d *directory) sweep() {
	entries, err := os.ReadDir(filepath.Join(d.path, ownersDir))
	if err != nil {
		return // nothing depends on it
	}
	for _, entry := range entries {
		name := filepath.Join(d.path, ownersDir, entry.Name())
		info, err := entry.Info()
		if err != nil || time.Since(info.ModTime()) < time.Hour {
			continue // it may be on its way to its lock
		}
		if held, err := lockHeld(name); err == nil && !held {
			_ = os.Remove(name) // the next one does it
		}
	}
}

// fault names the directory and what to try about it.
func (d *directory) fault(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*StateError](err); ok || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &StateError{Where: d.file(), Try: d.try(err), Err: err}
}

// The primary result codes of SQLite about which a person can do something.
const (
	sqliteBusy     = 5
	sqliteReadOnly = 8
	sqliteIOErr    = 10
	sqliteCorrupt  = 11
	sqliteFull     = 13
	sqliteCantOpen = 14
	sqliteNotADB   = 26
)

func (d *directory) try(err error) string {
	code := 0
	if c, ok := errors.AsType[interface {
		error
		Code() int
	}](err); ok {
		code = c.Code() & 0xff
	}
	text := err.Error() // DBOS keeps the text alone of some errors
	has := func(parts ...string) bool {
		for _, p := range parts {
			if strings.Contains(text, p) {
				return true
			}
		}
		return false
	}
	switch {
	case code == sqliteBusy:
		return "another process has been writing to it for 10 s: if that one is frozen, kill it, and the run can be resumed"
	case code == sqliteFull || errors.Is(err, syscall.ENOSPC) || has("database or disk is full", "no space left"):
		return "make room on the disk of " + d.path + ", then resume the run: what was remembered is still there"
	case code == sqliteReadOnly || errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission) || has("readonly database"):
		return "give this user the right to write in " + d.path + ", or name another directory"
	case code == sqliteCorrupt || code == sqliteNotADB || has("file is not a database", "malformed"):
		return "move " + d.file() + " away, with the files -wal and -shm beside it, and keep them: the runs in it cannot be resumed, but their effects have keys, and a run of the same name does none of them again"
	case outdated(err):
		return "let one run or resume of this version of perdure bring " + d.file() + " up to date; a file of a newer version needs that version"
	case errors.Is(err, syscall.ENOTDIR):
		return "name a directory, not a file"
	case code == sqliteCantOpen || code == sqliteIOErr:
		return "look at " + d.path + ": it must be a directory on a local disk that this user can read and write"
	}
	return ""
}

// fileOwner is the lock of an executor's file.
type fileOwner struct {
	lock *os.File
	name string
}

func (o *fileOwner) check(context.Context) error { return nil } // it goes with the process alone

func (o *fileOwner) release() {
	_ = os.Remove(o.name) // nobody else ever makes a file of that name
	_ = o.lock.Close()
}
