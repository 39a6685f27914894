package config

import (
	"time"

	"github.com/perdure/perdure"
)

// Config is everything that can be configured. Its fields' comments are the
// text of docs/configuration.md.
type Config struct {
	// Listen is the address of the admin listener, host:port. An address that other machines can
	// reach needs admin.allow_remote. "off" means no listener.
	Listen string `yaml:"listen"`
	// Admin says who may change what on the listener.
	Admin Admin `yaml:"admin"`
	// StateDir is where breakers and tokens survive a restart. It is made with mode 0700, and used by
	// one process at a time.
	StateDir string `yaml:"state_dir"`
	// SaveEvery is how often the state of the breakers is saved, 1s to 1h. It is saved as well when a
	// breaker changes, and at the end.
	SaveEvery time.Duration `yaml:"save_every"`
	// DrainFor is how long the process goes on after SIGTERM while it says that it is not ready, so
	// that whoever sends it work can notice; at most 5m.
	DrainFor time.Duration `yaml:"drain_for"`
	// ReadyWithoutDatabase makes a database that is away a warning, once it was asked: the process is
	// then ready all the same. Choose it where all replicas share the database, so that its loss does
	// not take all of them out of service at once.
	ReadyWithoutDatabase bool `yaml:"ready_without_database"`
	// Audit says where the audit trail is.
	Audit Audit `yaml:"audit"`
	// Log says what is written to stderr.
	Log Log `yaml:"log"`
	// Managers are the guarded databases, 1 to 100. None means one with every default.
	Managers []Manager `yaml:"managers"`
}

// Admin says who may change what on the listener.
type Admin struct {
	// Enabled lets whoever has the admin token hold and release breakers, and take profiles.
	Enabled bool `yaml:"enabled"`
	// TokenFile holds the admin token. It is made with mode 0600 when it is first needed. The
	// variable PERDURE_ADMIN_TOKEN comes before it.
	TokenFile string `yaml:"token_file"`
	// AllowRemote lets listen be an address that other machines can reach. Everything but the probes
	// then needs a token. There is no TLS: put a proxy before it, or use a tunnel.
	AllowRemote bool `yaml:"allow_remote"`
	// ReadTokenFile holds the token for reading from other machines. It is made with mode 0600 when
	// it is first needed. The variable PERDURE_READ_TOKEN comes before it.
	ReadTokenFile string `yaml:"read_token_file"`
	// OpenMetrics lets other machines read /metrics without a token, for a Prometheus that has none:
	// see to it that nobody else reaches the port.
	OpenMetrics bool `yaml:"open_metrics"`
	// AllowHosts are the names by which the listener may be called beside localhost and any IP
	// address: others are refused, because a foreign page could have bound them to it.
	AllowHosts []string `yaml:"allow_hosts"`
}

// Audit says where the audit trail is.
type Audit struct {
	// Enabled keeps the trail. Without it, changes are told to the log alone.
	Enabled bool `yaml:"enabled"`
	// Dir is the directory of the trail, on a local disk.
	Dir string `yaml:"dir"`
	// KeyFile holds the private key that signs checkpoints; it is made when it is not there. Keep it
	// elsewhere than the trail if you can.
	KeyFile string `yaml:"key_file"`
	// Origin names the trail in its checkpoints, such as db7.example.com/warehouse.
	Origin string `yaml:"origin"`
}

// Log says what is written to stderr.
type Log struct {
	// Level is the least that is written: debug, info, warn or error. Requests that only read are debug.
	Level string `yaml:"level"`
	// Format is text or json.
	Format string `yaml:"format"`
}

// Manager is a guarded database.
type Manager struct {
	perdure.Config `yaml:",inline"`

	// DatabaseURL is how the database is reached: a connection URL, or key=value pairs. What it does
	// not say is taken from PG* variables and ~/.pgpass. Empty means that the database is not
	// probed. A file with a password in it belongs to its owner alone.
	DatabaseURL string `yaml:"database_url"`
	// DatabaseURLFile is a file with the URL in it, such as a mounted secret.
	DatabaseURLFile string `yaml:"database_url_file"`
	// Standbys says that a server in recovery counts as up: the database is only read.
	Standbys bool `yaml:"standbys"`
	// CheckEvery is how often the database is asked for a sign of life, 1s to 10m; while it does not
	// answer, every second. Zero means 5s.
	CheckEvery time.Duration `yaml:"check_every"`
}

// defaults returns what holds where nothing is said, as far as it depends on
// nothing else.
func defaults() Config {
	return Config{
		Listen:    "127.0.0.1:7070",
		SaveEvery: 10 * time.Second,
		DrainFor:  time.Second,
		Audit:     Audit{Enabled: true, Origin: "perdure.audit"},
		Log:       Log{Level: "info", Format: "text"},
	}
}

const defaultCheckEvery = 5 * time.Second
