"""Say of each airport in which state it most probably is."""

import math

from perdure_once import Database, step

BATCH = 50


def score(point, airports, mean, variance):
    """The logarithm of how probable the point is in a state, but for a term that all states share."""
    return math.log(airports) - sum(
        (x - m) ** 2 / (2 * v) + math.log(v) / 2 for x, m, v in zip(point, mean, variance)
    )


def main(given):
    with Database() as db:

        def load(conn):
            model = conn.execute("select state, airports, mean, variance from model order by state").fetchall()
            return model, conn.execute("select iata, state, x, y, z from feature order by iata").fetchall()

        model, rows = db.read(load)
        mine = rows[given["part"] :: len(given["parts"])]
        right = 0
        for start in range(0, len(mine), BATCH):

            def insert(conn, start=start):
                batch = []
                for iata, state, *point in mine[start : start + BATCH]:
                    best = max(model, key=lambda m: score(point, *m[1:]))
                    batch.append((iata, state, best[0]))
                conn.cursor().executemany("insert into prediction values (%s, %s, %s)", batch)
                return sum(state == predicted for _, state, predicted in batch)

            right += db.once(f"insert-{start}", insert)
        return {"airports": len(mine), "right": right}


step(main)
