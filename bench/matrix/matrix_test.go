package matrix

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/perdure/perdure/bench/matrix/subject"
)

//nolint:gochecknoglobals // flags
var (
	full = flag.Bool("full", false, "run every row for every subject, as \"make matrix\" does, and print the table")
	who  = flag.String("subject", "", "with -row or -full: run only the subjects whose name contains this")
	one  = flag.String("row", "", "run this row only, for every subject")
	docs = flag.String("docs", "", "with -full: directory in which to put the tables (fault-matrix.md)")

	versioned = flag.Bool("versioned", false, "with -docs: put the server's version into the name of the file")
)

func TestMain(m *testing.M) {
	flag.Parse()
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/jackc/pgx/v5/pgxpool.(*Pool).triggerHealthCheck.func1"))
}

// rows returns all of them, in the order of the table.
func rows() []row {
	var all []row
	for _, group := range [][]row{serverRows(), sessionRows(), commitRows(), networkRows(), loginRows(), sqlRows(), replicaRows(), poolerRows()} {
		all = append(all, group...)
	}
	return all
}

func chosenExtent() extent {
	asIs := func(d time.Duration) time.Duration { return d }
	if *full || *one != "" {
		return extent{warm: 5, hold: asIs, recovery: 10 * time.Second}
	}
	return extent{warm: 2, hold: func(d time.Duration) time.Duration { return d / 2 }, recovery: time.Second}
}

// TestMatrix runs perdure's columns of the rows that are quick, or with -full the whole matrix.
func TestMatrix(t *testing.T) {
	e := chosenExtent()
	all := *full || *one != ""
	var chosen []row
	for _, r := range rows() {
		if *one == "" && (all || !r.slow) || *one == r.name {
			chosen = append(chosen, r)
		}
	}
	if len(chosen) == 0 {
		t.Fatalf("there is no row %q: %s", *one, names())
	}
	var candidates []subject.Candidate
	for _, c := range subject.All() {
		if (all || c.Perdure) && strings.Contains(c.Name, *who) {
			candidates = append(candidates, c)
		}
	}
	tab := &table{candidates: candidates, rows: chosen, cells: make([][]result, len(chosen))}
	began := time.Now()
	t.Run("rows", func(t *testing.T) {
		for i, r := range chosen {
			tab.cells[i] = make([]result, len(candidates))
			t.Run(r.name, func(t *testing.T) {
				t.Parallel()
				var shared *host
				var why string
				if r.standby == alone {
					shared, why = newHost(t, r)
				}
				for k, c := range candidates {
					if why != "" {
						tab.note(i, k, result{notRun: why})
						continue
					}
					t.Run(c.Name, func(t *testing.T) {
						h := shared
						if h == nil { // the primary does not survive
							h, _ = newHost(t, r)
						}
						tab.note(i, k, h.place(t, r, c).run(c, e))
						tab.of(h)
					})
				}
			})
		}
	})
	if !all {
		return
	}
	command := "make matrix"
	file := "fault-matrix.md"
	if *versioned {
		command += " PG_BIN=DIR"
		file = fmt.Sprintf("fault-matrix-%d.md", tab.major)
	}
	var out strings.Builder
	if *one != "" {
		tab.tell(&out)
		if _, err := os.Stdout.WriteString(out.String()); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err := tab.write(&out, e, command); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&out, "\nMade in %s.\n", time.Since(began).Round(time.Second))
	if _, err := os.Stdout.WriteString(out.String()); err != nil {
		t.Fatal(err)
	}
	if *docs != "" {
		if err := os.WriteFile(filepath.Join(*docs, file), []byte(out.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func names() string {
	var all []string
	for _, r := range rows() {
		all = append(all, r.name)
	}
	return strings.Join(all, ", ")
}

// table is what has come of the matrix.
type table struct {
	candidates []subject.Candidate
	rows       []row

	mu      sync.Mutex // guards the fields below
	cells   [][]result
	version string
	major   int
}

// of notes the server's version.
func (t *table) of(h *host) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.version, t.major = h.cluster.Version(), major(h.cluster)
}

func (t *table) note(row, column int, r result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cells[row][column] = r
}
