package pgcluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// EnvBinDir is the environment variable that names the directory of the server
// binaries, such as /usr/lib/postgresql/17/bin.
const EnvBinDir = "PERDURE_PG_BIN"

// NoBinariesError says that no PostgreSQL server binaries were found, or that the
// directory that was asked for does not hold them.
type NoBinariesError struct {
	Searched []string // Searched lists the directories that were looked at, in order.
}

// Error implements error.
func (e *NoBinariesError) Error() string {
	return "no PostgreSQL server binaries (initdb, postgres) found in " + strings.Join(e.Searched, ", ")
}

// Hint says what to install.
func (e *NoBinariesError) Hint() string {
	install := "apt-get install postgresql"
	if runtime.GOOS == "darwin" {
		install = "brew install postgresql@17"
	}
	return install + ", or set " + EnvBinDir + " to the directory of initdb and postgres"
}

// FindBinaries returns the directory that holds initdb and postgres, and
// pg_basebackup if there are to be replicas. It looks at dir when it is not empty, else at $PERDURE_PG_BIN
// when that is set, and else at the places where distributions put them, newest
// version first, and at PATH. The error is a *NoBinariesError.
func FindBinaries(dir string) (string, error) {
	candidates := []string{dir}
	if dir == "" {
		candidates = []string{os.Getenv(EnvBinDir)}
	}
	if candidates[0] == "" {
		candidates = installed()
	}
	for _, c := range candidates {
		if hasServer(c) {
			return filepath.Abs(c)
		}
	}
	return "", &NoBinariesError{Searched: candidates}
}

// installed lists the places to look at, newest version first.
func installed() []string {
	var found []string
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",          // Debian, Ubuntu
		"/usr/pgsql-*/bin",                   // RHEL with PGDG packages
		"/opt/homebrew/opt/postgresql@*/bin", // macOS on ARM
		"/usr/local/opt/postgresql@*/bin",    // macOS on Intel
	} {
		dirs, err := filepath.Glob(pattern)
		if err != nil {
			continue
		}
		slices.SortFunc(dirs, func(a, b string) int { return version(b) - version(a) })
		found = append(found, dirs...)
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		if target, err := filepath.EvalSymlinks(path); err == nil {
			path = target
		}
		found = append(found, filepath.Dir(path))
	}
	if len(found) == 0 {
		found = []string{"/usr/lib/postgresql/*/bin", "PATH"}
	}
	return found
}

// version reads the major version out of a path such as /usr/lib/postgresql/15/bin.
func version(dir string) int {
	name := filepath.Base(filepath.Dir(dir))
	digits := name[strings.LastIndexAny(name, "@-")+1:]
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return n
}

func hasServer(dir string) bool {
	for _, name := range []string{"initdb", "postgres"} {
		st, err := os.Stat(filepath.Join(dir, name)) //nolint:gosec // the user names the directory of the server
		if err != nil || st.IsDir() || st.Mode()&0o111 == 0 {
			return false
		}
	}
	return true
}

// serverVersion returns what `postgres --version` prints, such as "15.18".
func serverVersion(out []byte) (string, error) {
	for word := range strings.FieldsSeq(string(out)) {
		if word[0] >= '0' && word[0] <= '9' {
			return word, nil
		}
	}
	return "", fmt.Errorf("no version in %q", out)
}
