package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/pipeline"
)

// served is a running perdure serve.
type served struct {
	t     *testing.T
	cmd   *exec.Cmd
	url   string // without a slash at the end
	state string

	mu   sync.Mutex // guards the fields below
	text strings.Builder
	more chan struct{} // closed when there is more text
	done chan struct{}
}

// serve starts perdure serve on any port and returns when it listens.
func serve(t *testing.T, stateDir string, args ...string) *served {
	t.Helper()
	s := &served{t: t, state: stateDir, more: make(chan struct{}), done: make(chan struct{})}
	s.cmd = exec.Command("perdure", append([]string{"serve", "--listen", "127.0.0.1:0", "--state-dir", stateDir, "--drain-for", "0s"}, args...)...)
	s.cmd.Env = cleanEnv("PERDURE_LOG_FORMAT=json", "PERDURE_LOG_LEVEL=debug")
	talk, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go s.read(talk)
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill() // it has ended, if all went well
		<-s.done
		if t.Failed() {
			t.Logf("perdure serve said:\n%s", s.said())
		}
	})
	line := s.wait(`"msg":"listening"`)
	var l struct{ URL string }
	if err := json.Unmarshal([]byte(line), &l); err != nil {
		t.Fatal(err)
	}
	s.url = strings.TrimSuffix(l.URL, "/")
	return s
}

// cleanEnv is the environment without what names a server or configures
// perdure.
func cleanEnv(more ...string) []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "PG") && !strings.HasPrefix(v, "DATABASE_URL=") && !strings.HasPrefix(v, "PERDURE_") {
			env = append(env, v)
		}
	}
	return append(env, more...)
}

func (s *served) read(r io.Reader) {
	defer close(s.done)
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadString('\n')
		s.mu.Lock()
		s.text.WriteString(line)
		close(s.more)
		s.more = make(chan struct{})
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (s *served) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// wait waits until a line with that text is in the log, and returns it.
func (s *served) wait(text string) string {
	s.t.Helper()
	for {
		s.mu.Lock()
		more := s.more
		for line := range strings.Lines(s.text.String()) {
			if strings.Contains(line, text) && strings.HasSuffix(line, "\n") {
				s.mu.Unlock()
				return line
			}
		}
		s.mu.Unlock()
		select {
		case <-more:
		case <-time.After(time.Minute):
			s.t.Fatalf("perdure serve has not said %q in a minute", text)
		case <-s.done:
			s.t.Fatalf("perdure serve ended before it said %q:\n%s", text, s.said())
		}
	}
}

// end sends the signal and returns the exit code.
func (s *served) end(signal os.Signal) int {
	s.t.Helper()
	if err := s.cmd.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
	<-s.done
	_ = s.cmd.Wait() // the code is what is asked for
	return s.cmd.ProcessState.ExitCode()
}

func (s *served) get(path string) (int, string) {
	s.t.Helper()
	r, err := http.Get(s.url + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

// perdure runs a command against the listener.
func (s *served) perdure(args ...string) (code int, stdout, stderr string) {
	s.t.Helper()
	cmd := exec.Command("perdure", args...)
	cmd.Env = cleanEnv("PERDURE_ADDR="+s.url, "PERDURE_STATE_DIR="+s.state)
	var out, talk strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &talk
	_ = cmd.Run() // the code is what is asked for
	return cmd.ProcessState.ExitCode(), out.String(), talk.String()
}

func (s *served) must(want string, args ...string) {
	s.t.Helper()
	if code, out, talk := s.perdure(args...); code != 0 || !strings.Contains(out, want) {
		s.t.Errorf("perdure %v exits with %d and says %q %q, want %q", args, code, out, talk, want)
	}
}

// TestAHoldOutlivesTheProcess: by SIGTERM, and by SIGKILL.
func TestAHoldOutlivesTheProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s := serve(t, dir, "--admin")
	s.wait("a token was made")
	s.must("default/database is held open", "breakers", "hold", "database", "open", "--reason", "maintenance of db7")
	s.must("was already held open", "breakers", "hold", "database", "open", "--reason", "again")
	if code := s.end(syscall.SIGTERM); code != exitOK {
		t.Errorf("after SIGTERM serve exits with %d, want 0", code)
	}
	for _, signal := range []os.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		s = serve(t, dir, "--admin")
		s.wait(`"msg":"breakers restored"`)
		s.must("maintenance of db7", "breakers", "ls")
		s.end(signal)
	}
	// What a person did a moment before a kill -9 is not forgotten either.
	s = serve(t, dir, "--admin")
	s.must("held by nobody", "breakers", "release", "database")
	s.must("held closed", "breakers", "hold", "database", "closed", "--reason", "the probe lies")
	saved := filepath.Join(dir, "breakers-default.json")
	for {
		if b, err := os.ReadFile(saved); err == nil && strings.Contains(string(b), "the probe lies") {
			break
		}
	}
	s.end(syscall.SIGKILL)
	s = serve(t, dir, "--admin")
	s.must("the probe lies", "breakers", "ls")
	s.end(syscall.SIGTERM)

	cmd := exec.Command("perdure", "audit", "verify", filepath.Join(dir, "audit"), "--output", "json")
	cmd.Env = cleanEnv()
	out, err := cmd.Output()
	if err != nil || !strings.Contains(string(out), `"ok": true`) {
		t.Errorf("audit verify: %v %s", err, out)
	}
	trail, err := filepath.Glob(filepath.Join(dir, "audit", "*.jsonl"))
	if err != nil || len(trail) == 0 {
		t.Fatalf("no trail: %v", err)
	}
	b, err := os.ReadFile(trail[0])
	if err != nil || strings.Count(string(b), `"kind":"admin"`) != 4 || strings.Count(string(b), `"kind":"configuration"`) != 5 {
		t.Errorf("%d admin records, %d of the configuration, %v, want 4 and 5", strings.Count(string(b), `"kind":"admin"`), strings.Count(string(b), `"kind":"configuration"`), err)
	}
}

// TestABrokenStateIsSetAside: serve starts all the same, and says so.
func TestABrokenStateIsSetAside(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "breakers-default.json"), []byte(`{"version": 1, "manager"`), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, dir)
	if _, body := s.get("/readyz?verbose"); !strings.Contains(body, "[+]state ok") || !strings.Contains(body, "[+]audit ok") {
		t.Errorf("readyz = %s", body)
	}
	line := s.wait("cannot be used")
	if !strings.Contains(line, `"level":"WARN"`) || !strings.Contains(line, "breakers-default.json.broken-") {
		t.Errorf("log = %s", line)
	}
	if code := s.end(syscall.SIGTERM); code != exitOK {
		t.Errorf("serve exits with %d", code)
	}
	aside, err := filepath.Glob(filepath.Join(dir, "*.broken-*"))
	if err != nil || len(aside) != 1 {
		t.Errorf("set aside: %v, %v", aside, err)
	}
}

func TestTwoDaemonsDoNotShareAState(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s := serve(t, dir)
	code, _, talk := s.perdure("serve", "--listen", "off")
	if code != exitFailed || !strings.Contains(talk, "another perdure uses the state directory") || !strings.Contains(talk, "Try: ") {
		t.Errorf("the second one exits with %d and says %q", code, talk)
	}
	s.end(syscall.SIGTERM)
}

// TestADatabaseThatIsAway: serve says that it is not ready, stays, and is ready
// when the database comes back.
func TestADatabaseThatIsAway(t *testing.T) {
	server := pgclustertest.New(t, pgcluster.Config{})
	url := pgclustertest.Database(t, server)
	if err := server.Stop(t.Context(), pgcluster.Immediate); err != nil {
		t.Fatal(err)
	}
	s := serve(t, filepath.Join(t.TempDir(), "state"), "--database-url", url)
	s.wait("the database does not answer")
	if code, body := s.get("/readyz?verbose"); code != http.StatusServiceUnavailable || !strings.Contains(body, "database.default") {
		t.Errorf("away: readyz = %d %s", code, body)
	}
	if code, _ := s.get("/livez"); code != http.StatusOK {
		t.Errorf("away: livez = %d", code)
	}
	s.wait(`"msg":"circuit breaker opened"`)
	if _, body := s.get("/metrics"); !strings.Contains(body, `database_circuit_breaker_state{manager="default",operation="database"} 2`) {
		t.Error("away: the metrics do not show the open breaker")
	}
	lax := serve(t, filepath.Join(t.TempDir(), "state"), "--database-url", url, "--ready-without-database")
	lax.wait("the database does not answer")
	if code, body := lax.get("/readyz?verbose"); code != http.StatusOK || !strings.Contains(body, "[!]database.default warns") {
		t.Errorf("away, with --ready-without-database: readyz = %d %s", code, body)
	}
	lax.end(syscall.SIGTERM)
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.wait("the database answers")
	for {
		if code, _ := s.get("/readyz"); code == http.StatusOK {
			break
		}
	}
	if code, body := s.get("/startupz"); code != http.StatusOK {
		t.Errorf("back: startupz = %d %s", code, body)
	}
	if _, body := s.get("/metrics"); !strings.Contains(body, `database_pool_connections{manager="default"`) || !strings.Contains(body, "perdure_audit_records_total") {
		t.Error("back: the metrics lack the pool or the trail")
	}
	if code := s.end(syscall.SIGTERM); code != exitOK {
		t.Errorf("serve exits with %d", code)
	}
	if said := s.said(); strings.Contains(said, url) {
		t.Errorf("the log holds the URL:\n%s", said)
	}
}

// TestWhoMayChange is what the issue asks for: 401 without a token, 401 with a
// wrong one, audited and limited, 403 from another origin.
func TestWhoMayChange(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s := serve(t, dir, "--admin")
	token, err := os.ReadFile(filepath.Join(dir, "admin.token"))
	if err != nil {
		t.Fatal(err)
	}
	post := func(headers ...string) (status int, retry string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/api/breakers/database/hold-open", strings.NewReader(`{"reason": "test"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		a.Body.Close()
		return a.StatusCode, a.Header.Get("Retry-After")
	}
	bearer := "Bearer " + strings.TrimSpace(string(token))
	var got []int
	for _, headers := range [][]string{
		nil,
		{"Authorization", bearer, "Origin", "https://evil.example"},
		{"Authorization", bearer},
		{"Authorization", "Bearer wrong"},
		{"Authorization", "Bearer wrong"},
		{"Authorization", "Bearer wrong"},
		{"Authorization", "Bearer wrong"},
		{"Authorization", "Bearer wrong"},
	} {
		status, _ := post(headers...)
		got = append(got, status)
	}
	limited, retry := post("Authorization", "Bearer wrong")
	got = append(got, limited)
	want := []int{401, 403, 200, 401, 401, 401, 401, 401, 429}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("answers = %v, want %v", got, want)
		}
	}
	if retry == "" {
		t.Error("429 without Retry-After")
	}
	s.end(syscall.SIGTERM)
	files, err := filepath.Glob(filepath.Join(dir, "audit", "*.jsonl"))
	if err != nil || len(files) != 1 {
		t.Fatalf("trail: %v, %v", files, err)
	}
	trail, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for code, n := range map[string]int{`"code":"token_missing"`: 1, `"code":"other_origin"`: 1, `"code":"token_wrong"`: 5, `"code":"too_many_requests"`: 1} {
		if strings.Count(string(trail), code) != n {
			t.Errorf("%d records with %s, want %d:\n%s", strings.Count(string(trail), code), code, n, trail)
		}
	}
	if strings.Contains(string(trail)+s.said(), strings.TrimSpace(string(token))) {
		t.Error("the token is in the log or the trail")
	}
}

// TestTheListenerIsHeldAfterTheDemo: the report comes when the runs are over;
// metrics and breakers can be read on, until a signal. The demo's own result
// stays.
func TestTheListenerIsHeldAfterTheDemo(t *testing.T) {
	flights := filepath.Join(t.TempDir(), "flights.csv")
	var text strings.Builder
	text.WriteString("departure,delay_minutes,distance_miles,origin,destination\n")
	for _, day := range []string{"01-01", "01-02", "01-03", "02-01", "02-02"} {
		text.WriteString("2001-" + day + " 00:47,66,1750,DTW,LAS\n2001-" + day + " 10:47,0,1750,LAS,DTW\n")
	}
	if err := os.WriteFile(flights, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &served{t: t, more: make(chan struct{}), done: make(chan struct{})}
	s.cmd = exec.Command("perdure", "demo", "--chaos", "mild", "--naive=false", "--flights", flights, "--listen", "127.0.0.1:0", "--hold", "10m", "--output", "json")
	s.cmd.Env = cleanEnv()
	talk, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go s.read(talk)
	var r demoReport
	if err := json.NewDecoder(out).Decode(&r); err != nil || !r.Identical {
		t.Fatalf("report: %v, identical %v", err, r.Identical)
	}
	s.url = strings.TrimSuffix(strings.TrimSpace(strings.TrimPrefix(s.wait("Listening on "), "Listening on ")), "/")
	for path, want := range map[string]string{
		"/metrics":      `database_retries_total{attempt="2",manager="chaos",operation="flights.load"}`,
		"/readyz":       "ok",
		"/healthz":      "database.chaos",
		"/api/breakers": `"name": "flights.train"`,
	} {
		if code, body := s.get(path); code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("GET %s = %d, want %q:\n%.2000s", path, code, want, body)
		}
	}
	if code := s.end(os.Interrupt); code != exitOK {
		t.Errorf("the demo exits with %d, want its own result: %s", code, s.said())
	}
}

// TestServeShowsTheRunsInItsStateDirectory: also those that come later, and it
// makes no place for runs by itself.
func TestServeShowsTheRunsInItsStateDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s := serve(t, dir)
	list := func() []runJSON {
		code, body := s.get("/api/runs")
		var out listed
		if err := json.Unmarshal([]byte(body), &out); err != nil || code != http.StatusOK {
			t.Fatalf("GET /api/runs = %d, %v:\n%.2000s", code, err, body)
		}
		return out.Runs
	}
	if got := list(); len(got) != 0 {
		t.Errorf("runs = %+v before the first one", got)
	}
	if _, err := os.Stat(filepath.Join(dir, runsName)); !os.IsNotExist(err) {
		t.Errorf("serve made a place for runs: %v", err)
	}
	file := filepath.Join(t.TempDir(), "one.yaml")
	text := "name: one\nsteps:\n  - name: ask\n    uses: sql.query\n    with: {sql: select 1 as n}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	run := exec.Command("perdure", "run", file, "--embedded", "--engine", "dbos", "--state-dir", dir)
	run.Env = cleanEnv()
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("perdure run: %v\n%s", err, out)
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	got := list()
	for deadline := time.Now().Add(time.Minute); len(got) == 0 && time.Now().Before(deadline); <-tick.C {
		got = list()
	}
	if len(got) != 1 || got[0].Pipeline != "one" || got[0].Engine != engineDBOS || got[0].Status != pipeline.StatusSucceeded {
		t.Fatalf("runs = %+v, want one of one by dbos that succeeded", got)
	}
	if code, body := s.get("/runs"); code != http.StatusOK || !strings.Contains(body, got[0].Run) {
		t.Errorf("GET /runs = %d without %s", code, got[0].Run)
	}
	if code := s.end(os.Interrupt); code != exitOK {
		t.Errorf("serve exits with %d: %s", code, s.said())
	}
}

// TestASecondSignalEndsServeAtOnce, while it drains.
func TestASecondSignalEndsServeAtOnce(t *testing.T) {
	s := serve(t, filepath.Join(t.TempDir(), "state"), "--drain-for", "5m")
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.wait("perdure drains")
	if code, body := s.get("/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("while it drains readyz = %d %s", code, body)
	}
	if code, _ := s.get("/api/breakers"); code != http.StatusOK {
		t.Errorf("while it drains the listener says %d", code)
	}
	if code := s.end(os.Interrupt); code != exitInterrupted {
		t.Errorf("serve exits with %d, want %d", code, exitInterrupted)
	}
}
