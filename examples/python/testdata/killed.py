"""Run a step's program, and kill it at the worst moments: killed.py PROGRAM

Every end of a transaction, in all processes of the test, is counted in the file
COUNT. At some counts the process ends itself with SIGKILL: before the COMMIT at one, after it
at the next. What it has done is then known to the database alone.
"""

import contextlib
import os
import runpy
import signal
import sys

import psycopg

KILLS = [3, 8, 14, 21, 29, 38, 48, 59, 71, 84, 98, 113]
here = os.path.dirname(os.path.abspath(__file__))
real = psycopg.Connection.transaction


def end(when):
    with open(os.environ["COUNT"] + ".killed", "a") as f:
        f.write(when + "\n")
    os.kill(os.getpid(), signal.SIGKILL)


@contextlib.contextmanager
def transaction(conn, *args, **kwargs):
    with real(conn, *args, **kwargs) as tx:
        yield tx
        count = os.open(os.environ["COUNT"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(count, b".")
        n = os.lseek(count, 0, os.SEEK_CUR)  # where this byte ends
        os.close(count)
        if n in KILLS[::2]:
            end("before")
    if n in KILLS[1::2]:
        end("after")


psycopg.Connection.transaction = transaction
sys.path.insert(0, os.getcwd())
runpy.run_path(sys.argv[1], run_name="__main__")
