#!/bin/sh
# setup.sh [demo] makes sure that what the tests and the demo need is there: Go, the
# programs of a PostgreSQL server, and for the tests promtool, PgBouncer, Chromium and a Python with psycopg. It starts no server,
# enables none, and never touches one that was there before. When all is there it
# does nothing. With the argument demo it leaves out what only the tests need.
#
# PERDURE_SETUP=unpack skips the system's package manager and unpacks into
# .tools, as happens without root and sudo.
set -eu
cd -- "$(dirname -- "$0")/.."

say() { printf 'setup: %s\n' "$*" >&2; }

die() {
	say "$@"
	exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

check_go() {
	have go || die "Go is missing: install 1.26 or later from https://go.dev/dl"
	version=$(go env GOVERSION)
	number=${version#go}
	major=${number%%.*}
	rest=${number#*.}
	minor=${rest%%[!0-9]*}
	case $major.$minor in
	*[!0-9.]* | .* | *.) say "cannot read the version of Go from '$version': going on" && return ;;
	esac
	if [ "$major" -lt 1 ] || { [ "$major" -eq 1 ] && [ "$minor" -lt 26 ]; }; then
		die "Go is $version: 1.26 or later is needed, from https://go.dev/dl"
	fi
}

ask=no # whether sudo may ask for a password
what="the PostgreSQL server"

# as_root runs a command as root; can_be_root has said that it can.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif [ "$ask" = yes ]; then
		sudo "$@"
	else
		sudo -n "$@"
	fi
}

can_be_root() {
	[ "${PERDURE_SETUP:-}" != unpack ] || return 1
	[ "$(id -u)" -ne 0 ] || return 0
	have sudo || return 1
	if sudo -n true 2>/dev/null; then
		return 0
	fi
	if [ -t 0 ] && [ -z "${CI:-}" ]; then
		ask=yes
		say "sudo is asked for, to install $what (Ctrl-C unpacks nothing and changes nothing)"
		sudo true
		return
	fi
	return 1
}

apt() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@" </dev/null >&2; }

# install_apt installs the server so that Debian's package does not create its
# usual cluster, and so has nothing to start: the switch is in a file of
# postgresql-common, which is put back as it was.
install_apt() {
	conf=/etc/postgresql-common/createcluster.conf
	saved=
	service_was_there=no
	if [ -e /etc/init.d/postgresql ]; then
		service_was_there=yes
	fi
	say "installing the packages postgresql-common and postgresql (no cluster is created or started)"
	apt update || say "the package lists could not be renewed: going on with the old ones"
	apt install -y --no-install-recommends postgresql-common || return 1
	saved=$(mktemp) || return 1
	cat "$conf" >"$saved" || return 1
	trap restore_conf EXIT
	trap 'exit 130' INT TERM
	printf '\ncreate_main_cluster = false\n' | as_root tee -a "$conf" >/dev/null || return 1
	installed=yes
	apt install -y --no-install-recommends postgresql || installed=no
	restore_conf
	trap - EXIT INT TERM
	if [ "$service_was_there" = no ]; then
		disable_service
	fi
	[ "$installed" = yes ]
}

restore_conf() {
	if [ -n "$saved" ]; then
		as_root tee "$conf" <"$saved" >/dev/null
		rm -f "$saved"
		saved=
	fi
}

# disable_service switches off the service that came with the package. It is
# called only when the package was not there before.
disable_service() {
	if [ -d /run/systemd/system ]; then
		as_root systemctl disable --now postgresql.service >&2 || true
	elif have update-rc.d; then
		as_root update-rc.d postgresql disable >&2 || true
	fi
}

# unpack_apt downloads the server and what it links and this system lacks, and
# unpacks it under .tools/pg without installing anything.
unpack_apt() {
	have apt-get && have dpkg-deb || return 1
	say "no root: unpacking a PostgreSQL server into .tools/pg"
	server=$(apt-cache depends postgresql 2>/dev/null | sed -n 's/^ *Depends: \(postgresql-[0-9][0-9]*\)$/\1/p' | head -n 1)
	if [ -z "$server" ]; then
		say "apt knows no PostgreSQL server: ask for 'apt-get update' as root"
		return 1
	fi
	# The simulation names what an installation would add. Of what it names, only
	# what a server needs to run is taken.
	packages=$(apt-get -s -q --no-install-recommends install "$server" 2>/dev/null |
		sed -n 's/^Inst \([^ ]*\) .*/\1/p' |
		grep -Ev '^(adduser|debconf|dpkg|init-system-helpers|locales|logrotate|lsb-base|netbase|perl.*|libperl.*|postgresql|postgresql-common.*|postgresql-client-common|ssl-cert|sysvinit-utils|ucf)$') || true
	version=${server#postgresql-}
	packages=$(printf '%s\n' "$packages" "$server" "postgresql-client-$version" | sort -u | sed '/^$/d')
	rm -rf .tools/pg.new
	mkdir -p .tools/pg.new/deb .tools/pg.new/root .tools/pg.new/bin
	# shellcheck disable=SC2086 # package names have no blanks, and one argument each is wanted
	(cd .tools/pg.new/deb && apt-get download -qq $packages >&2) || return 1
	for deb in .tools/pg.new/deb/*.deb; do
		dpkg-deb -x "$deb" .tools/pg.new/root || return 1
	done
	rm -rf .tools/pg.new/deb
	wrap_programs "$version" || return 1
	rm -rf .tools/pg
	mv .tools/pg.new .tools/pg
	.tools/pg/bin/postgres --version >&2 || return 1
}

# wrap_programs puts beside the unpacked programs a starter for each that finds
# the unpacked libraries, wherever the tree is moved. It replaces itself by the
# program, so that the pid is the server's.
wrap_programs() {
	from=usr/lib/postgresql/$1/bin
	for program in .tools/pg.new/root/"$from"/*; do
		[ -x "$program" ] || return 1
		name=${program##*/}
		cat >".tools/pg.new/bin/$name" <<-EOF
			#!/bin/sh
			root=\$(CDPATH='' cd -- "\$(dirname -- "\$0")/../root" && pwd)
			for dir in "\$root"/usr/lib/*-linux-gnu* "\$root"/lib/*-linux-gnu*; do
				LD_LIBRARY_PATH=\${LD_LIBRARY_PATH:+\$LD_LIBRARY_PATH:}\$dir
			done
			export LD_LIBRARY_PATH
			exec "\$root/$from/$name" "\$@"
		EOF
		chmod +x ".tools/pg.new/bin/$name"
	done
}

install_brew() {
	say "installing postgresql@17 with brew (no service is started)"
	HOMEBREW_NO_AUTO_UPDATE=1 brew install postgresql@17 </dev/null >&2
}

install_postgres() {
	case $(uname -s) in
	Darwin)
		have brew || die "the PostgreSQL server is missing and so is Homebrew: install either (https://brew.sh), then try again"
		install_brew || die "brew could not install postgresql@17"
		;;
	Linux)
		if ! have apt-get; then
			die "the PostgreSQL server is missing, and only apt and brew are known here. Install it yourself:" \
				"Fedora: dnf install postgresql-server postgresql-contrib; Arch: pacman -S postgresql;" \
				"Alpine: apk add postgresql17 postgresql17-contrib. It need not run. Or set PERDURE_PG_BIN to its bin directory."
		fi
		if can_be_root; then
			install_apt || die "apt could not install the PostgreSQL server"
		else
			unpack_apt || die "the PostgreSQL server is missing, and without root or sudo it could not be unpacked." \
				"Ask for 'apt-get install postgresql', or set PERDURE_PG_BIN to the bin directory of one."
		fi
		;;
	*) die "the PostgreSQL server is missing: install it, or set PERDURE_PG_BIN to its bin directory" ;;
	esac
}

# find_browser prints the program of the browser, and nothing when there is none. It
# looks where the tests look.
find_browser() {
	for program in "${PERDURE_CHROMIUM:-chromium}" chromium-browser google-chrome-stable google-chrome \
		/Applications/Chromium.app/Contents/MacOS/Chromium; do
		if command -v "$program" 2>/dev/null; then
			return
		fi
		[ -z "${PERDURE_CHROMIUM:-}" ] || return 0
	done
}

install_chromium() {
	what=Chromium
	case $(uname -s) in
	Darwin)
		have brew || die "Chromium is missing and so is Homebrew: install either (https://brew.sh), then try again"
		say "installing chromium with brew"
		HOMEBREW_NO_AUTO_UPDATE=1 brew install --cask chromium </dev/null >&2 || die "brew could not install chromium"
		;;
	Linux)
		have apt-get || die "Chromium is missing, and only apt and brew are known here. Install it yourself:" \
			"Fedora: dnf install chromium; Arch: pacman -S chromium; Alpine: apk add chromium. Or set PERDURE_CHROMIUM to its program."
		can_be_root || die "Chromium is missing, and without root or sudo it cannot be installed." \
			"Ask for 'apt-get install chromium', or set PERDURE_CHROMIUM to the program of one."
		say "installing the package chromium (some 160 MB; only the tests of the dashboard need it)"
		apt update || say "the package lists could not be renewed: going on with the old ones"
		apt install -y --no-install-recommends chromium || die "apt could not install chromium (Ubuntu has it as a snap: 'snap install chromium')"
		;;
	*) die "Chromium is missing: install it, or set PERDURE_CHROMIUM to its program" ;;
	esac
}

# find_promtool prints the path of promtool, which checks the rules in deploy/.
find_promtool() {
	if [ -n "${PERDURE_PROMTOOL:-}" ]; then
		printf '%s\n' "$PERDURE_PROMTOOL"
	elif [ -x .tools/bin/promtool ]; then
		printf '%s\n' .tools/bin/promtool
	else
		command -v promtool || true
	fi
}

# unpack_promtool takes one program out of Debian's package, which would install
# and start a daemon on port 9090. It links nothing but libc.
unpack_promtool() {
	have apt-get && have dpkg-deb || return 1
	say "unpacking promtool into .tools/bin (from the package prometheus, 19 MB, which is not installed)"
	rm -rf .tools/prometheus.new
	mkdir -p .tools/prometheus.new .tools/bin
	if ! (cd .tools/prometheus.new && apt-get download -qq prometheus >&2); then
		can_be_root || return 1
		apt update || return 1
		(cd .tools/prometheus.new && apt-get download -qq prometheus >&2) || return 1
	fi
	dpkg-deb --fsys-tarfile .tools/prometheus.new/prometheus_*.deb |
		tar -xf - -C .tools/prometheus.new ./usr/bin/promtool || return 1
	.tools/prometheus.new/usr/bin/promtool --version >/dev/null 2>&1 || return 1
	mv .tools/prometheus.new/usr/bin/promtool .tools/bin/promtool
	rm -rf .tools/prometheus.new
}

install_promtool() {
	if [ "$(uname -s)" = Darwin ] && have brew; then
		say "installing prometheus with brew, for promtool (no service is started)"
		HOMEBREW_NO_AUTO_UPDATE=1 brew install prometheus </dev/null >&2 || die "brew could not install prometheus"
		return
	fi
	unpack_promtool || die "promtool is missing, and could not be unpacked from Debian's package prometheus." \
		"Ask for 'apt-get update' as root, or install Prometheus' tools and set PERDURE_PROMTOOL to the path of promtool."
}

# unpack_python puts psycopg under .tools/python, with what it needs and this system
# lacks, and a starter of the system's Python that finds it. Debian's psycopg is Python alone; it looks for libpq by
# a list of the system's libraries, in which an unpacked one is not.
unpack_python() {
	have apt-get && have dpkg-deb && [ -x /usr/bin/python3 ] || return 1
	say "no root: unpacking psycopg into .tools/python"
	packages=$(apt-get -s -q --no-install-recommends install python3-psycopg 2>/dev/null | sed -n 's/^Inst \([^ ]*\) .*/\1/p') || true
	packages=$(printf '%s\n' "$packages" python3-psycopg | sort -u | sed '/^$/d')
	rm -rf .tools/python.new
	mkdir -p .tools/python.new/deb .tools/python.new/root .tools/python.new/bin .tools/python.new/lib
	# shellcheck disable=SC2086 # package names have no blanks, and one argument each is wanted
	(cd .tools/python.new/deb && apt-get download -qq $packages >&2) || return 1
	for deb in .tools/python.new/deb/*.deb; do
		dpkg-deb -x "$deb" .tools/python.new/root || return 1
	done
	rm -rf .tools/python.new/deb
	cat >.tools/python.new/lib/sitecustomize.py <<-EOF
		import ctypes.util
		find = ctypes.util.find_library
		ctypes.util.find_library = lambda name: "libpq.so.5" if name == "pq" else find(name)
	EOF
	cat >.tools/python.new/bin/python3 <<-EOF
		#!/bin/sh
		tree=\$(CDPATH='' cd -- "\$(dirname -- "\$0")/.." && pwd)
		for dir in "\$tree"/root/usr/lib/*-linux-gnu* "\$tree"/root/lib/*-linux-gnu*; do
			LD_LIBRARY_PATH=\${LD_LIBRARY_PATH:+\$LD_LIBRARY_PATH:}\$dir
		done
		PYTHONPATH=\$tree/lib:\$tree/root/usr/lib/python3/dist-packages\${PYTHONPATH:+:\$PYTHONPATH}
		export LD_LIBRARY_PATH PYTHONPATH
		exec /usr/bin/python3 "\$@"
	EOF
	chmod +x .tools/python.new/bin/python3
	.tools/python.new/bin/python3 -c 'import psycopg' >&2 || return 1
	rm -rf .tools/python
	mv .tools/python.new .tools/python
}

install_python() {
	what=psycopg
	case $(uname -s) in
	Darwin)
		have python3 || die "Python 3 is missing: install it with 'brew install python', then try again"
		say "installing psycopg into .tools/python with pip"
		python3 -m venv .tools/python && .tools/python/bin/pip -q install 'psycopg[binary]' </dev/null >&2 ||
			die "pip could not install psycopg: set PERDURE_PYTHON to a Python that has psycopg 3"
		;;
	Linux)
		have apt-get || die "psycopg 3 for Python is missing, and only apt and brew are known here. Install it yourself:" \
			"Fedora: dnf install python3-psycopg3; Arch: pacman -S python-psycopg; Alpine: apk add py3-psycopg. Or set PERDURE_PYTHON to a Python that has it."
		if can_be_root; then
			say "installing the package python3-psycopg (only the example in Python needs it)"
			apt install -y --no-install-recommends python3-psycopg || { apt update && apt install -y --no-install-recommends python3-psycopg; } ||
				die "apt could not install python3-psycopg: set PERDURE_PYTHON to a Python that has psycopg 3"
		else
			unpack_python || die "psycopg 3 for Python is missing, and without root or sudo it could not be unpacked." \
				"Ask for 'apt-get install python3-psycopg', or set PERDURE_PYTHON to a Python that has it."
		fi
		;;
	*) die "psycopg 3 for Python is missing: install it, or set PERDURE_PYTHON to a Python that has it" ;;
	esac
}

# find_pgbouncer prints the program of PgBouncer. It looks where the tests look.
find_pgbouncer() {
	if [ -n "${PERDURE_PGBOUNCER:-}" ]; then
		printf '%s\n' "$PERDURE_PGBOUNCER"
	elif [ -x .tools/bin/pgbouncer ]; then
		printf '%s\n' .tools/bin/pgbouncer
	else
		command -v pgbouncer || { [ ! -x /usr/sbin/pgbouncer ] || printf '%s\n' /usr/sbin/pgbouncer; }
	fi
}

# unpack_pgbouncer takes the program, and the libraries that this system lacks, out of Debian's
# packages: to install them would start a daemon on port 6432.
unpack_pgbouncer() {
	have apt-get && have dpkg-deb || return 1
	say "unpacking pgbouncer into .tools (its package is not installed)"
	rm -rf .tools/pgbouncer.new
	mkdir -p .tools/pgbouncer.new/deb .tools/bin
	packages=$(apt-get -s -q --no-install-recommends install pgbouncer 2>/dev/null |
		sed -n 's/^Inst \(lib[^ ]*\) .*/\1/p') || true
	# shellcheck disable=SC2086 # package names have no blanks, and one argument each is wanted
	if ! (cd .tools/pgbouncer.new/deb && apt-get download -qq pgbouncer $packages >&2); then
		can_be_root || return 1
		apt update || return 1
		# shellcheck disable=SC2086 # as above
		(cd .tools/pgbouncer.new/deb && apt-get download -qq pgbouncer $packages >&2) || return 1
	fi
	for deb in .tools/pgbouncer.new/deb/*.deb; do
		dpkg-deb -x "$deb" .tools/pgbouncer.new || return 1
	done
	rm -rf .tools/pgbouncer.new/deb .tools/pgbouncer
	mv .tools/pgbouncer.new .tools/pgbouncer
	# The starter replaces itself by the program, so that the pid is the pooler's.
	cat >.tools/bin/pgbouncer <<-'EOF'
		#!/bin/sh
		root=$(CDPATH='' cd -- "$(dirname -- "$0")/../pgbouncer" && pwd)
		for dir in "$root"/usr/lib/*-linux-gnu* "$root"/lib/*-linux-gnu*; do
			LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$dir
		done
		export LD_LIBRARY_PATH
		exec "$root/usr/sbin/pgbouncer" "$@"
	EOF
	chmod +x .tools/bin/pgbouncer
	.tools/bin/pgbouncer --version >/dev/null 2>&1
}

install_pgbouncer() {
	if [ "$(uname -s)" = Darwin ] && have brew; then
		say "installing pgbouncer with brew (no service is started)"
		HOMEBREW_NO_AUTO_UPDATE=1 brew install pgbouncer </dev/null >&2 || die "brew could not install pgbouncer"
		return
	fi
	unpack_pgbouncer || die "pgbouncer is missing, and could not be unpacked from Debian's package." \
		"Ask for 'apt-get update' as root, or install PgBouncer (it need not run) and set PERDURE_PGBOUNCER to its program."
}

check_go
bin=$(scripts/pgbin.sh)
if [ -z "$bin" ]; then
	[ -z "${PERDURE_PG_BIN:-}" ] || die "nothing is installed while PERDURE_PG_BIN is set: correct or unset it"
	install_postgres
	bin=$(scripts/pgbin.sh)
	[ -n "$bin" ] || die "installed, and still no server programs were found: set PERDURE_PG_BIN to their directory"
fi
if [ "${1:-}" != demo ] && [ -z "$(find_promtool)" ]; then
	install_promtool
fi
if [ "${1:-}" != demo ] && [ -z "$(find_pgbouncer)" ]; then
	install_pgbouncer
fi
if [ "${1:-}" != demo ] && [ -z "$(find_browser)" ]; then
	[ -z "${PERDURE_CHROMIUM:-}" ] || die "nothing is installed while PERDURE_CHROMIUM is set: correct or unset it"
	install_chromium
	[ -n "$(find_browser)" ] || die "installed, and still no Chromium was found: set PERDURE_CHROMIUM to its program"
fi
if [ "${1:-}" != demo ] && [ -z "$(scripts/python.sh)" ]; then
	[ -z "${PERDURE_PYTHON:-}" ] || die "nothing is installed while PERDURE_PYTHON is set: correct or unset it"
	install_python
	[ -n "$(scripts/python.sh)" ] || die "installed, and still no Python with psycopg was found: set PERDURE_PYTHON to one"
fi
say "$(go env GOVERSION), $("$bin/postgres" --version) in $bin"
