package pgcluster

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// account is the system user that runs the server. The zero account is the current user.
type account struct {
	credential *syscall.Credential // nil when nothing has to be dropped
}

// serverAccount returns whom to run the server as: PostgreSQL refuses to run as root, so
// root becomes postgres, or nobody where there is no such user.
func serverAccount() (account, error) {
	if os.Getuid() != 0 {
		return account{}, nil
	}
	for _, name := range []string{"postgres", "_postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return account{}, fmt.Errorf("user %s: %w", name, err)
		}
		return account{&syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
	}
	return account{}, errors.New("running as root, and there is no user postgres or nobody to run the server as")
}

// enters reports whether the account can get to what is below dir: a private TMPDIR of root's is
// closed to the server.
func (a account) enters(dir string) bool {
	if a.credential == nil {
		return true
	}
	dir, err := filepath.Abs(dir)
	for ; err == nil; dir = filepath.Dir(dir) {
		var info os.FileInfo
		if info, err = os.Stat(dir); err == nil && info.Mode().Perm()&0o001 == 0 {
			return false
		}
		if dir == filepath.Dir(dir) {
			return err == nil
		}
	}
	return false
}

// environ is our environment without what libpq and the server's programs take from it: a PGPORT
// that is meant for a client must not move the server.
func environ() []string {
	return slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "PG") })
}

// attributes makes a process that runs as the account and in a session of its own, so that
// an interrupt typed on the owner's terminal does not stop the server.
func (a account) attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: a.credential, Setsid: true}
}

func (a account) own(path string) error {
	if a.credential == nil {
		return nil
	}
	return os.Chown(path, int(a.credential.Uid), int(a.credential.Gid))
}
