"""Items and orders, and a catalogue to sell."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(
        "CREATE TABLE items (id bigint PRIMARY KEY, name text NOT NULL, price bigint NOT NULL,"
        " sold bigint NOT NULL DEFAULT 0)"
    )
    op.execute(
        "CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
        " item bigint NOT NULL REFERENCES items, quantity integer NOT NULL, total bigint NOT NULL,"
        " placed timestamptz NOT NULL DEFAULT now())"
    )
    op.execute(
        "INSERT INTO items (id, name, price)"
        " SELECT n, 'item ' || n, 100 + n * 7 % 5000 FROM generate_series(1, 2000) n"
    )
