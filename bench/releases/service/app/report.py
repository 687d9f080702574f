"""A sales report: reads the orders in one transaction, for as long as it takes.

`python -m app.report SECONDS`.
"""

import os
import sys

import psycopg

with psycopg.connect(os.environ["DATABASE_URL"]) as db:
    print(db.execute("SELECT count(*), sum(total) FROM orders").fetchone(), flush=True)
    db.execute("SELECT pg_sleep(%s)", (float(sys.argv[1]),))
