package perduretest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/faultproxy"
)

// commitInDoubt: a COMMIT that is cut off, before the server has it or after,
// is success and leaves one row.
func commitInDoubt(t *testing.T, b *bench) {
	t.Helper()
	for id, c := range []struct {
		rule faultproxy.Rule
		want perdure.Resolution
		runs int64
	}{{lostReply(), perdure.Committed, 1}, {lostCommit(), perdure.Aborted, 2}} {
		b.take()
		rule := b.fault(t, c.rule)
		var runs int64
		err := b.InTx(t.Context(), op("commit"), func(ctx context.Context, tx Tx) error {
			runs++
			return b.insert(id)(ctx, tx)
		})
		if err != nil {
			t.Errorf("%s: InTx = %v, want nil", c.rule.Name, err)
		}
		if rule.Hits() != 1 {
			t.Errorf("%s: the fault struck %d times, want once", c.rule.Name, rule.Hits())
		}
		if n := b.rows(t, id); n != 1 || runs != c.runs {
			t.Errorf("%s: %d rows after %d runs, want 1 after %d", c.rule.Name, n, runs, c.runs)
		}
		if seen := b.take(); len(seen) != 1 || seen[0].Resolution != c.want {
			t.Errorf("%s: the hook was told %+v, want one %s", c.rule.Name, seen, c.want)
		}
	}
}

// remembered: the work of a key is done once, whoever comes and whatever is lost.
func remembered(t *testing.T, b *bench) {
	t.Helper()
	other, _ := b.open(t, b.url)
	var runs int64
	work := func(ctx context.Context, tx Tx) (int64, error) {
		runs++
		return 41 + runs, b.insert(1)(ctx, tx)
	}
	b.take()
	rule := b.fault(t, lostReply())
	for _, s := range []Subject{b.Subject, b.Subject, other} {
		if got, err := s.Once(t.Context(), op("once"), b.name, work); err != nil || got != 42 {
			t.Errorf("Once = %d, %v, want 42", got, err)
		}
	}
	if n := b.rows(t, 1); n != 1 || runs != 1 || rule.Hits() != 1 {
		t.Errorf("%d rows after %d runs and %d faults, want 1, 1, 1", n, runs, rule.Hits())
	}
	told := map[perdure.Resolution]int{}
	for _, e := range b.take() {
		told[e.Resolution]++
	}
	if told[perdure.Committed] != 1 || told[perdure.Run] != 1 || told[perdure.Remembered] != 2 {
		t.Errorf("the hook was told %v, want committed 1, run 1, remembered 2", told)
	}
}

// twins: of those that come at the same time one works, and the others wait.
func twins(t *testing.T, b *bench) {
	t.Helper()
	var runs atomic.Int64
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			got, err := b.Once(t.Context(), op("twins"), b.name, func(ctx context.Context, tx Tx) (int64, error) {
				return runs.Add(1), b.insert(1)(ctx, tx)
			})
			if err != nil || got != 1 {
				t.Errorf("Once = %d, %v, want 1", got, err)
			}
		})
	}
	all.Wait()
	if n := b.rows(t, 1); n != 1 || runs.Load() != 1 {
		t.Errorf("%d rows after %d runs, want 1 after 1", n, runs.Load())
	}
}

// storm: under cuts at every moment, what succeeded is there once and what
// failed is not there.
func storm(t *testing.T, b *bench) {
	t.Helper()
	for name, r := range map[string]faultproxy.Rule{
		"reply":     {Match: faultproxy.Match{Message: faultproxy.CommandComplete, Text: faultproxy.Is("COMMIT")}, Action: faultproxy.FIN},
		"commit":    {Match: faultproxy.Match{Message: faultproxy.Run, Text: isCommit}, Action: faultproxy.RST},
		"committed": {Match: faultproxy.Match{Message: faultproxy.Run, Text: isCommit}, Action: faultproxy.FIN, When: faultproxy.After},
		"statement": {Match: faultproxy.Match{Message: faultproxy.Run, Text: faultproxy.HasPrefix("insert")}, Action: faultproxy.RST},
	} {
		r.Name, r.Probability, r.Count = name, 0.05, b.setup.Calls/10
		b.fault(t, r)
	}
	b.load(t, "storm", func() {})
	if b.proxy.Stats().Faults["reply"] == 0 {
		t.Error("no fault struck")
	}
}

// crash: the same when the server is killed, twice.
func crash(t *testing.T, b *bench) {
	t.Helper()
	b.load(t, "crash", b.restart)
}

// load runs Setup.Calls transactions from four goroutines, calls disturb after a third
// and after two thirds of them, and looks at what is there.
func (b *bench) load(t *testing.T, name string, disturb func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	failed := make([]error, b.setup.Calls)
	var next, done atomic.Int64
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for id := int(next.Add(1)) - 1; id < len(failed); id = int(next.Add(1)) - 1 {
				failed[id] = b.InTx(ctx, op(name), b.insert(id))
				if n := int(done.Add(1)); n == len(failed)/3 || n == 2*len(failed)/3 {
					disturb()
				}
			}
		})
	}
	all.Wait()
	for id, err := range failed {
		n := b.rows(t, id)
		switch {
		case err == nil && n != 1:
			t.Errorf("transaction %d succeeded, and left %d rows", id, n)
		case err != nil && errors.Is(err, perdure.ErrOutcomeUnknown):
			t.Errorf("transaction %d is unknown, though it has a marker: %v", id, err)
		case err != nil && n != 0:
			t.Errorf("transaction %d failed, and left %d rows: %v", id, n, err)
		}
	}
}
