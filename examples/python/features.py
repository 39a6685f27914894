"""Make of each airport a point on the unit sphere, where distances mean the same everywhere."""

import math
import zlib

from perdure_once import Database, step

BATCH = 50


def features(row):
    iata, state, latitude, longitude = row
    lat, lon = math.radians(latitude), math.radians(longitude)
    training = zlib.crc32(iata.encode()) % 5 != 0  # four of five, whoever asks
    return iata, state, math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat), training


def main(given):
    with Database() as db:
        rows = db.read(
            lambda conn: conn.execute("select iata, state, latitude, longitude from airport order by iata").fetchall()
        )
        mine = rows[given["part"] :: len(given["parts"])]
        done = 0
        for start in range(0, len(mine), BATCH):
            batch = [features(row) for row in mine[start : start + BATCH]]

            def insert(conn, batch=batch):
                conn.cursor().executemany("insert into feature values (%s, %s, %s, %s, %s, %s)", batch)
                return len(batch)

            done += db.once(f"insert-{start}", insert)
        return {"rows": done}


step(main)
