"""Do one piece of work under a name, and say what came of it.

once.py NAME VALUE [hold|commit|rollback|nested|broken|read]
"""

import json
import os
import sys

from perdure_once import Database, GaveUp

name, value, how = sys.argv[1], json.loads(sys.argv[2]), (sys.argv[3:] or [""])[0]
ran = 0


def work(conn):
    global ran
    ran += 1
    conn.execute("insert into effect values ('python')")
    if how == "hold":
        print("holding", flush=True)
        sys.stdin.readline()
    elif how in ("commit", "rollback"):
        conn.execute(how)
    elif how == "nested":
        db.once("inner", work)
    elif how == "broken":
        raise ValueError("of its own")
    return value


try:
    with Database(patience=float(os.environ.get("PATIENCE", "60"))) as db:
        if how == "read":
            result = db.read(work)
        else:
            result = db.once(name, work)
except GaveUp as e:
    sys.exit(f"gave up: {e}") if how == "" else sys.exit(75)
print(json.dumps({"result": result, "ran": ran}))
