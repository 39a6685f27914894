package matrix

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/perdure/perdure/bench/matrix/subject"
	"github.com/perdure/perdure/pgerr"
)

const groupSQL = "The work itself"

// steps runs statements one after the other.
func steps(ctx context.Context, tx subject.Tx, statements ...string) error {
	for _, s := range statements {
		if err := tx.Exec(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func sqlRows() []row {
	return []row{
		{
			name: "deadlock", group: groupSQL, title: "deadlocks, whose victim is always the subject",
			prepare: setting("deadlock_timeout", "50ms"),
			work: func(ctx context.Context, p *place, tx subject.Tx, key int64) error {
				if p.dawdler.on.Load() {
					if err := steps(ctx, tx, "update hot set n = n + 1 where id = 1", "update hot set n = n + 1 where id = 2"); err != nil {
						return err
					}
				}
				return tx.Exec(ctx, insertSQL, key)
			},
			strike: func(p *place) (func(), func() bool) {
				p.dawdler.on.Store(true)
				seen := p.answeredOften(3, "40P01")
				for !seen() {
					p.deadlock()
				}
				return func() { p.dawdler.on.Store(false) }, nil
			},
			want: expectation{states: []string{"40P01"}, database: no},
		},
		{
			name: "serialization", group: groupSQL, title: "a storm of serialization failures", serializable: true,
			work: func(ctx context.Context, p *place, tx subject.Tx, key int64) error {
				if p.dawdler.on.Load() {
					id := strconv.FormatInt(key%2+1, 10)
					if err := steps(ctx, tx, "select sum(n) from hot", "update hot set n = n + 1 where id = "+id); err != nil {
						return err
					}
				}
				return tx.Exec(ctx, insertSQL, key)
			},
			strike: func(p *place) (func(), func() bool) {
				p.dawdler.on.Store(true)
				return func() { p.dawdler.on.Store(false) }, p.answeredOften(20, "40001")
			},
			want: expectation{states: []string{"40001"}, database: no},
		},
		{
			name: "ddl", group: groupSQL, title: "ALTER TABLE under prepared statements",
			strike: func(p *place) (func(), func() bool) {
				p.exec("alter table effect add column more int")
				began := time.Now()
				return nil, func() bool {
					p.work.mu.Lock()
					defer p.work.mu.Unlock()
					return p.work.warmSince(1, began)
				}
			},
			want: expectation{states: []string{"0A000"}, statesOfPgx: true, database: no},
		},
		{
			name: "disk-full", group: groupSQL, title: "the disk is full for a second", hold: outage, tmpfs: true,
			work: func(ctx context.Context, _ *place, tx subject.Tx, key int64) error {
				return tx.Exec(ctx, "insert into effect (key, pad) values ($1, repeat('x', 5000))", key)
			},
			prepare: func(p *place) { p.exec("alter table effect alter column pad set storage plain") },
			strike: func(p *place) (func(), func() bool) {
				filler := filepath.Join(filepath.Dir(p.host.disk), "filler")
				out, err := exec.CommandContext(p.Context(), "dd", "if=/dev/zero", "of="+filler, "bs=8k").CombinedOutput()
				if err == nil || !strings.Contains(string(out), "No space left") {
					p.Fatalf("filling the disk: %v: %s", err, out)
				}
				return func() { p.ended(os.Remove(filler)) }, p.answered("53100")
			},
			want: expectation{states: []string{"53100"}, categories: []pgerr.Category{pgerr.CategoryResource}, fails: true, database: no},
		},
	}
}

// deadlock takes a lock, waits until a transaction of the subject's that holds another wants it, and then
// wants that other one: the subject's session looks for deadlocks first, and is the victim.
func (p *place) deadlock() {
	p.Helper()
	ctx := p.bounded()
	conn := p.connect(p.cluster)
	defer conn.Close(ctx)
	_, err := conn.Exec(ctx, "set deadlock_timeout = '60s'; begin; update hot set n = n where id = 2")
	p.ended(err)
	const wanted = "select exists (select from pg_locks l where not l.granted and pg_backend_pid() = any(pg_blocking_pids(l.pid)))"
	p.eventually("a transaction that wants the lock", func() bool {
		var yes bool
		p.ended(conn.QueryRow(ctx, wanted).Scan(&yes))
		return yes
	})
	_, err = conn.Exec(ctx, "update hot set n = n where id = 1")
	p.ended(err)
}
