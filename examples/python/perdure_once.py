"""Steps of perdure pipelines in Python, whose effects on PostgreSQL happen exactly once.

A pipeline starts a Python program as a step of its own process (process.run). The program may be
ended at any moment and be run again, and the connection may be lost when a COMMIT has been sent and no
reply has come. This file makes both harmless: the work of a transaction is done under a name, and a row
with the key of the step and that name is written in the same transaction. Whoever comes with the
same key later finds the row, does not do the work, and gets the result that is kept there.

    from perdure_once import Database, step

    def main(given):
        with Database() as db:
            rows = db.read(lambda conn: conn.execute("select id, x from raw").fetchall())
            return db.once("scores", lambda conn: write_scores(conn, rows))

    step(main)

Copy this file beside your program. It needs Python 3.9 and psycopg 3 (Debian: python3-psycopg), and the
table that perdure makes in the database before it starts a pipeline. It is the table that perdurepgx.Once and
perduresql.Once use: a key that was used in Go is used in Python too.
"""

import contextlib
import json
import os
import random
import sys
import time
import uuid

try:
    import psycopg
except ImportError as missing:
    sys.exit(
        f"{sys.executable} has no psycopg 3 ({missing}). Try: apt install python3-psycopg, and the "
        "program /usr/bin/python3; or, in a virtual environment, pip install 'psycopg[binary]'"
    )

__all__ = ["Database", "GaveUp", "Misused", "escape", "step"]

TRY_AGAIN = 75  # EX_TEMPFAIL of sysexits.h, after which perdure runs the step again
MAX_KEY = 1024  # bytes

# What a server says that will be otherwise in a while: it is restarting, has no room, or
# chose this transaction as the victim of a conflict. Class 08 and what has no code are lost connections.
PASSING = {
    "57P01", "57P02", "57P03", "57P05", "25P03",  # the session was ended, or cannot begin
    "53000", "53100", "53200", "53300",  # no room
    "40001", "40P01",  # conflicts
    "55P03",  # a twin holds the key
}

# Whoever is not let in is told so without a code that libpq would hand on. Of the texts these are known;
# another one costs no more than patience.
REFUSED = (
    "password authentication failed", "no password supplied", "no pg_hba.conf entry", "does not exist",
    "invalid sslmode", "invalid port", "invalid integer", "invalid connection option",
)  # fmt: skip


class GaveUp(Exception):
    """The database stayed away for longer than the patience of a Database. Another run of the
    step finds what was done, and does the rest."""


class Misused(Exception):
    """The work ended the transaction that it was given, or began another once. What it did may be
    there without its result."""


class Database:
    """A connection that is made when it is needed, and made again when it is lost.

    url is a connection URL; by default $DATABASE_URL, else what libpq's PG* variables say. key is the first part of
    all keys; by default $PERDURE_KEY, which perdure gives to the program of a step. patience is how many seconds
    the work may be repeated for before GaveUp is raised, and twin how many of them one attempt waits for another process that is
    at work under the same key.

    It belongs to one thread. Everything else about the connection is libpq's: $PGAPPNAME, $PGSSLMODE and so on.
    """

    def __init__(self, url=None, *, key=None, patience=300.0, twin=30.0):
        self._url = os.environ.get("DATABASE_URL", "") if url is None else url
        self._key = os.environ.get("PERDURE_KEY", "") if key is None else key
        self._patience, self._twin = patience, twin
        self._conn = None
        self._busy = False
        self._left = None  # the session on the server whose transaction may still be open
        self._unreplicated = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Close the connection. The Database can be used again."""
        conn, self._conn = self._conn, None
        if conn is not None:
            conn.close()

    def once(self, name, fn):
        """Run fn(conn) in a transaction, exactly once for this step and name, and return what it returned.

        What fn returns is kept as JSON, and is returned as JSON keeps it (a tuple becomes a list) the first time
        and every time after it. fn gets a psycopg connection that is in a transaction already; it must not
        end it. fn is run again, after a rollback, when the connection is lost or the server asks for a repeat: what
        it does elsewhere (files, other services) is not undone. An exception of its own undoes the transaction, frees the name,
        and is raised.
        """
        if not self._key:
            raise Misused("PERDURE_KEY is not set: start the program as a step of a pipeline, or give Database a key")
        key = f"{self._key}/{escape(name)}"
        if not name or "\0" in key or len(key.encode()) > MAX_KEY:
            raise Misused(f"the key {key[:80]!r} is empty, has a zero character, or is longer than {MAX_KEY} bytes")
        return self._repeat(name, lambda conn: self._once(conn, key, fn))

    def read(self, fn):
        """Run fn(conn) in a READ ONLY transaction, as often as it takes, and return what it returned."""

        def attempt(conn):
            with conn.transaction():
                conn.execute("set transaction read only")
                return fn(conn)

        return self._repeat("a query", attempt)

    def _once(self, conn, key, fn):
        attempt = uuid.uuid4()
        with conn.transaction():
            # The wait for a twin has a limit of its own: statement_timeout is for the work. A transaction
            # is known to the server by its process and the time when it began.
            pid, began, limit, _ = conn.execute(
                "select pg_backend_pid(), extract(epoch from now())::text, "
                "current_setting('statement_timeout'), set_config('statement_timeout', '0', true)"
            ).fetchone()
            self._left = (pid, began)
            run, xid, kept = conn.execute(
                "select run, xid, result::text from perdure.begin_once(%s, %s, %s)",
                (key, attempt, max(1, int(self._twin * 1000))),
            ).fetchone()
            conn.execute("select set_config('statement_timeout', %s, true)", (limit,))
            if run:
                result = json.dumps(fn(conn), allow_nan=False)
                done = conn.execute(
                    "select perdure.end_once(%s, r), r::text from (select %s::jsonb as r) given where pg_current_xact_id()::text = %s",
                    (attempt, result, xid),
                ).fetchone()
                if done is None:
                    raise Misused(f"the work of {key} ended its transaction")
                kept = done[1]
            elif kept is None:
                raise Misused(f"the work of {key} ended its transaction with a COMMIT of its own: some of it may be missing")
            # Also a key that was there is committed: with synchronous standbys, that is what waits for them.
            self._unreplicated = False
        if self._unreplicated:
            raise _Unreplicated("the wait for the synchronous standbys was canceled")
        self._left = None
        return json.loads(kept)

    def _repeat(self, what, attempt):
        if self._busy:
            raise Misused("a transaction within a transaction: finish the first one before")
        self._busy = True
        try:
            began, tries = time.monotonic(), 0
            while True:
                tries += 1
                try:
                    return attempt(self._connection())
                except Exception as e:  # whatever it is: the connection says whether it was lost
                    if self._conn is not None and not self._conn.closed:
                        self._left = None  # it was rolled back
                    if not self._passes(e):
                        raise
                    spent = time.monotonic() - began
                    if spent > self._patience:
                        raise GaveUp(f"{what}: {tries} attempts in {spent:.0f} s: {_line(e)}") from e
                    if tries & (tries - 1) == 0:  # 1, 2, 4, 8 …
                        print(f"{what}: attempt {tries}: {_line(e)}; trying again", file=sys.stderr)
                # Anything from nothing to twice as long each time: many programs must not come back at once.
                time.sleep(random.uniform(0, min(2.0, 0.05 * 2 ** min(tries, 10))))
        finally:
            self._busy = False

    def _passes(self, e):
        """Whether another attempt makes sense after e."""
        if isinstance(e, _Unreplicated):
            return True
        if self._conn is None:  # it could not be made
            said = str(e) + str(getattr(getattr(e, "pgconn", None), "error_message", ""))
            return isinstance(e, psycopg.OperationalError) and not any(text in said for text in REFUSED)
        if self._conn.closed:
            self._conn = None
            return not isinstance(e, Misused)
        if not isinstance(e, psycopg.Error) or e.sqlstate is None:
            return False
        if e.sqlstate == "25006":  # read only: a standby, perhaps not for long
            return self._in_recovery()
        return e.sqlstate in PASSING or e.sqlstate.startswith("08")

    def _in_recovery(self):
        try:
            (standby,) = self._conn.execute("select pg_is_in_recovery()").fetchone()
        except psycopg.Error:
            standby = True  # it was lost meanwhile
        if standby:
            self.close()
        return standby

    def _connection(self):
        if self._conn is None or self._conn.closed:
            self._conn = None
            conn = psycopg.connect(
                self._url,
                autocommit=True,  # transactions are begun by conn.transaction() alone
                prepare_threshold=None,  # a pooler may give each transaction another session
                **{k: v for k, v in _alive.items() if k not in self._url},
            )
            conn.add_notice_handler(self._notice)
            self._conn = conn
        if self._left is not None:
            self._evict(*self._left)
            self._left = None
        return self._conn

    def _evict(self, pid, began):
        """End the session of an attempt that was lost, if it only waits for this program. It holds the
        key. A COMMIT that has not arrived is then never done; one that has, is: the key will tell."""
        try:
            self._conn.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where pid = %s and pid <> pg_backend_pid() "
                "and extract(epoch from xact_start)::text = %s and state like 'idle in transaction%%'",
                (pid, began),
            )
        except psycopg.errors.InsufficientPrivilege:
            pass  # then the server finds out by itself, in time

    def _notice(self, diag):
        if diag.source_function == "SyncRepWaitForLSN":
            self._unreplicated = True


# A peer that is gone without a word is noticed within some twenty seconds.
_alive = {"connect_timeout": 10, "keepalives_idle": 10, "keepalives_interval": 3, "keepalives_count": 3, "tcp_user_timeout": 20000}


class _Unreplicated(Exception):
    pass


def escape(name):
    """Return a name as perdure writes it into a key: no two names make one key."""
    return name.replace("%", "%25").replace("/", "%2F")


def _line(e):
    """The first line of an error's text."""
    text = str(e).strip() or type(e).__name__
    return text.splitlines()[0]


def step(main):
    """Call main with the step's input, and give what it returns back as the step's output.

    GaveUp ends the program with 75, after which perdure runs the step again. Any other
    exception ends it with 1 and its traceback. What main prints goes to stderr, and so into perdure's log.
    """
    try:
        given = json.load(sys.stdin)
        with contextlib.redirect_stdout(sys.stderr):
            output = main(given)
        text = json.dumps(output, allow_nan=False)
    except GaveUp as e:
        print(e, file=sys.stderr)
        sys.exit(TRY_AGAIN)
    print(text)
