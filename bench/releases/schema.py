"""The releases that change the schema, in this order: a database does not go back."""

from bench.releases.change import Change, Edit

EXPAND = {
    "migrations/versions/0002_note.py": '''"""Orders may carry a note."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("ALTER TABLE orders ADD COLUMN note text")
''',
    "migrations/versions/0003_by_item.py": '''"""Orders by item, for the sellers' page."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("CREATE INDEX CONCURRENTLY orders_by_item ON orders (item)")
''',
}
WRITES_NOTES = (
    Edit(
        "app/main.py",
        "    quantity: int = Field(ge=1, le=100)\n",
        "    quantity: int = Field(ge=1, le=100)\n    note: str | None = None\n",
    ),
    Edit(
        "app/main.py",
        "store.place(new.item, new.quantity)",
        "store.place(new.item, new.quantity, new.note)",
    ),
    Edit(
        "app/store.py",
        "def place(number: int, quantity: int)",
        "def place(number: int, quantity: int, note: str | None)",
    ),
    Edit(
        "app/store.py",
        "INTO orders (item, quantity, total) VALUES (%s, %s, %s)",
        "INTO orders (item, quantity, total, note) VALUES (%s, %s, %s, %s)",
    ),
    Edit(
        "app/store.py", 'total(row["price"], quantity)),', 'total(row["price"], quantity), note),'
    ),
)

SCHEMA = (
    Change(
        "locking-index",
        False,
        "builds an index on a table in use without CONCURRENTLY",
        files={
            "migrations/versions/0002_by_item.py": '''"""Orders by item."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_index("orders_by_item", "orders", ["item"])
'''
        },
    ),
    Change(
        "renamed-column",
        False,
        "renames a column that the release before reads",
        (
            Edit(
                "app/store.py",
                "INTO orders (item, quantity, total) VALUES",
                "INTO orders (item, quantity, amount) VALUES",
            ),
            Edit(
                "app/store.py",
                '" RETURNING id, item, quantity, total"',
                '" RETURNING id, item, quantity, amount AS total"',
            ),
            Edit(
                "app/store.py",
                "SELECT id, item, quantity, total FROM",
                "SELECT id, item, quantity, amount AS total FROM",
            ),
        ),
        {
            "migrations/versions/0002_amount.py": '''"""What an order costs is its amount."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.alter_column("orders", "total", new_column_name="amount")
'''
        },
    ),
    Change(
        "expand",
        True,
        "adds a column, an index built CONCURRENTLY, and writes the column",
        WRITES_NOTES,
        EXPAND,
    ),
    Change(
        "blocked-migration",
        False,
        "adds a column while a long report reads the table: it would queue every order behind it",
        WRITES_NOTES,
        {
            **EXPAND,
            "migrations/versions/0004_gift.py": '''"""Orders may be gifts."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("ALTER TABLE orders ADD COLUMN gift boolean")
''',
        },
        reader=True,
    ),
    Change(
        "long-backfill",
        False,
        "rewrites every item in one transaction of 8 s: orders wait for it",
        WRITES_NOTES,
        {
            **EXPAND,
            "migrations/versions/0004_names.py": '''"""Names begin with a capital letter."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("UPDATE items SET name = initcap(name)")
    op.execute("SELECT pg_sleep(8)")  # as long as a large table takes
''',
        },
    ),
)
