"""Fit a Gaussian naive Bayes classifier: for each state the mean and the variance of its airports' points."""

from perdure_once import Database, step

# What a state with one airport, or with all in one place, has at least: a circle of 20 miles.
LEAST_VARIANCE = 2.5e-5


def fit(rows):
    """rows are (state, x, y, z), in an order that is always the same: so are the sums, to the last bit."""
    states = {}
    for state, *point in rows:
        states.setdefault(state, []).append(point)
    for state, points in sorted(states.items()):
        n = len(points)
        mean = [sum(p[i] for p in points) / n for i in range(3)]
        variance = [max(LEAST_VARIANCE, sum((p[i] - mean[i]) ** 2 for p in points) / n) for i in range(3)]
        yield state, n, mean, variance


def main(_):
    with Database() as db:
        rows = db.read(
            lambda conn: conn.execute("select state, x, y, z from feature where training order by iata").fetchall()
        )
        model = list(fit(rows))

        def insert(conn):
            conn.cursor().executemany("insert into model values (%s, %s, %s, %s)", model)
            return {"states": len(model), "airports": len(rows)}

        return db.once("insert", insert)


step(main)
