"""The releases that change code; those that change the schema are in schema.py."""

from bench.releases.change import Change, Edit

MAIN, STORE, CARRIER, SETTINGS = "app/main.py", "app/store.py", "app/carrier.py", "app/settings.py"
FIRST = """@app.get("/livez")"""
"""Where endpoints begin in main.py: what stands before it is loaded with the service."""
SETTINGS_IMPORT = "from app.settings import settings\n\nVERSION"
STORE_IMPORTS = "from typing import Any\n"
ITEM = """def item(number: int) -> dict[str, Any]:
    with pool.connection() as db:
        row = db.execute("SELECT id, name, price FROM items WHERE id = %s", (number,)).fetchone()
    if row is None:
        raise MissingError(f"item {number}")
    return row
"""
ORDER = """def order(number: int) -> dict[str, Any]:
    with pool.connection() as db:
        row = db.execute(
            "SELECT id, item, quantity, total FROM orders WHERE id = %s", (number,)
        ).fetchone()
    if row is None:
        raise MissingError(f"order {number}")
    return row
"""
PLACE = "    with pool.connection() as db, db.transaction():\n"
CALL = """        await self.app(scope, receive, named)
"""

GOOD = (
    Change(
        "refactor",
        True,
        "two queries share one function",
        (
            Edit(
                STORE,
                ITEM,
                """def _one(query: str, number: int, what: str) -> dict[str, Any]:
    with pool.connection() as db:
        row = db.execute(query, (number,)).fetchone()
    if row is None:
        raise MissingError(f"{what} {number}")
    return row


def item(number: int) -> dict[str, Any]:
    return _one("SELECT id, name, price FROM items WHERE id = %s", number, "item")
""",
            ),
            Edit(
                STORE,
                ORDER,
                """def order(number: int) -> dict[str, Any]:
    query = "SELECT id, item, quantity, total FROM orders WHERE id = %s"
    return _one(query, number, "order")
""",
            ),
        ),
    ),
    Change(
        "faster",
        True,
        "items, which never change, are kept in memory",
        (
            Edit(
                STORE,
                STORE_IMPORTS,
                STORE_IMPORTS.replace(
                    "from typing", "from functools import lru_cache\nfrom typing"
                ),
            ),
            Edit(STORE, "def item(number", "@lru_cache(maxsize=2000)\ndef item(number"),
        ),
    ),
    Change(
        "cold-start",
        True,
        "6 s to start, and its first second of answers takes 0.5 s longer",
        (
            Edit(
                MAIN,
                SETTINGS_IMPORT,
                "from app.settings import settings\n\n"
                "time.sleep(6)  # a model is loaded\nFIRST_USE: list[float] = []\n\nVERSION",
            ),
            Edit(MAIN, "from typing import Any\n", "import time\nfrom typing import Any\n"),
            Edit(
                MAIN,
                "    return store.item(number)\n",
                "    FIRST_USE or FIRST_USE.append(time.monotonic())\n"
                "    if time.monotonic() - FIRST_USE[0] < 1:\n"
                "        time.sleep(0.5)  # caches are cold\n"
                "    return store.item(number)\n",
            ),
        ),
    ),
)

BAD = (
    Change(
        "rare-endpoint",
        False,
        "the delivery endpoint (3.5 % of requests) always fails",
        (
            Edit(
                MAIN,
                'return {"id": store.item(number)["id"], "delivery"',
                'return {"id": store.item(number)["number"], "delivery"',
            ),
        ),
    ),
    Change(
        "under-load",
        False,
        "an order holds a lock for 250 ms and gives up after 100 ms: fails as traffic grows",
        (
            Edit(
                STORE,
                STORE_IMPORTS,
                "import threading\nimport time\n" + STORE_IMPORTS,
            ),
            Edit(STORE, "def alive", "stock = threading.Lock()\n\n\ndef alive"),
            Edit(
                STORE,
                PLACE,
                """    if not stock.acquire(timeout=0.1):
        raise TimeoutError("the stock is being counted")
    try:
        time.sleep(0.25)  # the count
        return _place(number, quantity)
    finally:
        stock.release()


def _place(number: int, quantity: int) -> dict[str, Any]:
"""
                + PLACE,
            ),
        ),
    ),
    Change(
        "slow-tail",
        False,
        "4 % of the requests for an item or a list take 10 s longer",
        (
            Edit(STORE, STORE_IMPORTS, "import random\nimport time\n" + STORE_IMPORTS),
            Edit(
                STORE,
                ITEM,
                ITEM.replace(
                    "    with pool",
                    "    if random.random() < 0.04:\n        time.sleep(10)\n    with pool",
                ),
            ),
            Edit(
                STORE,
                "def items(after: int, limit: int) -> list[dict[str, Any]]:\n",
                "def items(after: int, limit: int) -> list[dict[str, Any]]:\n"
                "    if random.random() < 0.04:\n        time.sleep(10)\n",
            ),
        ),
    ),
    Change(
        "memory-leak",
        False,
        "each item asked for leaves 2 MB behind, until the process is killed at 250 MB",
        (
            Edit(STORE, "def alive", "seen: list[bytearray] = []\n\n\ndef alive"),
            Edit(
                STORE,
                ITEM,
                ITEM.replace(
                    "    with pool", "    seen.append(bytearray(b'x') * 2_000_000)\n    with pool"
                ),
            ),
        ),
    ),
    Change(
        "crash-loop",
        False,
        "imports a module that was not committed",
        (
            Edit(
                MAIN,
                "from app import carrier, memory, store",
                "from app import carrier, discounts, memory, store",
            ),
        ),
    ),
    Change(
        "flapping",
        False,
        "ready for 4 s, not ready for 4 s, and so on",
        (
            Edit(MAIN, "from typing import Any\n", "import time\nfrom typing import Any\n"),
            Edit(
                MAIN,
                "        store.alive()\n",
                "        store.alive()\n"
                "        if time.monotonic() % 8 >= 4:\n"
                '            raise TimeoutError("the price list is stale")\n',
            ),
        ),
    ),
    Change(
        "wrong-database",
        False,
        "the name of the database is that of another environment",
        (
            Edit(
                SETTINGS,
                'os.environ["DATABASE_URL"])',
                'os.environ["DATABASE_URL"].rpartition("/")[0] + "/shop_production")',
            ),
        ),
    ),
    Change(
        "missing-variable",
        False,
        "orders read a variable that is set nowhere",
        (
            Edit(MAIN, "from typing import Any\n", "import os\nfrom typing import Any\n"),
            Edit(
                MAIN,
                "    return store.place(new.item, new.quantity)\n",
                '    shop = os.environ["SHOP_ID"]\n'
                '    return store.place(new.item, new.quantity) | {"shop": shop}\n',
            ),
        ),
    ),
    Change(
        "slow-start",
        False,
        "takes 120 s to start; a release has 40 s",
        (
            Edit(MAIN, "from typing import Any\n", "import time\nfrom typing import Any\n"),
            Edit(MAIN, "    store.pool.open()\n", "    time.sleep(120)\n    store.pool.open()\n"),
        ),
    ),
    Change(
        "late-errors",
        False,
        "30 s after its start, every fifth order status and item fails",
        (
            Edit(STORE, STORE_IMPORTS, "import random\nimport time\n" + STORE_IMPORTS),
            Edit(STORE, "def alive", "started = time.monotonic()\n\n\ndef alive"),
            Edit(
                STORE,
                ITEM,
                ITEM.replace(
                    "    with pool",
                    "    if time.monotonic() - started > 30 and random.random() < 0.2:\n"
                    '        raise TimeoutError("the lease of the cache is over")\n'
                    "    with pool",
                ),
            ),
        ),
    ),
    Change(
        "doubled",
        False,
        "the delivery partner fails twice as often (6 to 12 %): 0.4 % of all, 1 % is promised",
        (Edit(CARRIER, "FAILS = 0.06", "FAILS = 0.12"),),
        blind="it keeps the promise, and some 20 failures are too few to tell 2x from chance",
    ),
    Change(
        "sevenfold",
        False,
        "the delivery partner fails seven times as often: 1.5 % of all, 1 % is promised",
        (Edit(CARRIER, "FAILS = 0.06", "FAILS = 0.42"),),
    ),
    Change(
        "connection-leak",
        False,
        "an order status never gives its connection back: after 8, a process has none left",
        (
            Edit(
                STORE,
                ORDER,
                ORDER.replace(
                    "    with pool.connection() as db:\n        row",
                    "    db = pool.getconn()\n    row",
                )
                .replace('            "SELECT', '        "SELECT')
                .replace("        ).fetch", "    ).fetch"),
            ),
        ),
    ),
    Change(
        "refuses-orders",
        False,
        "orders of 10 and more are refused (422): half of them",
        (Edit(MAIN, "quantity: int = Field(ge=1, le=100)", "quantity: int = Field(ge=1, lt=10)"),),
    ),
    Change(
        "moved-endpoint",
        False,
        "the order status moved to another path: its users (5.5 % of requests) get 404",
        (Edit(MAIN, '@app.get("/orders/{number}")', '@app.get("/v2/orders/{number}")'),),
    ),
    Change(
        "wrong-answers",
        False,
        "orders are charged for one piece too few, with status 201",
        (Edit(STORE, "    return price * quantity\n", "    return price * (quantity - 1)\n"),),
        blind="the answers are well-formed and fast; only the shop knows the price",
    ),
)
