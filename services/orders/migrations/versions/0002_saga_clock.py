"""The clock that bounds how long an order may stay open, and what the last event of an order needs to be made again.

An order that the old version places meanwhile has no reading of the clock: the sweep gives it one. One that has ended
already has no envelope: its last event is not made again.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

# One row. `active_seconds` counts only while nothing holds sagas up.
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
