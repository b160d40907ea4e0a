"""The saga clock for time-outs of open orders, and the envelope that recreates an order's final event.

An order that the old version places during the upgrade has no reading of the clock: the sweep sets it. An order that
has already ended has no envelope: its final event cannot be recreated.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

# One row. `active_seconds` advances only while sagas are not held up.
CLOCK = """
CREATE TABLE saga_clock (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    active_seconds double precision NOT NULL DEFAULT 0,
    ticked_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""


def upgrade() -> None:
    op.execute(CLOCK)
    op.execute("INSERT INTO saga_clock DEFAULT VALUES")
    op.execute("ALTER TABLE orders ADD COLUMN clock_reading double precision, ADD COLUMN final_envelope jsonb")
    op.execute("CREATE INDEX orders_open_by_clock ON orders (clock_reading) WHERE status IN ('pending', 'reserved')")
    op.execute("DROP INDEX orders_open")
