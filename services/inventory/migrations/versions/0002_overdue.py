"""Overdue reservations: when orders was asked about one, and how often."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("ALTER TABLE reservations ADD COLUMN asks smallint NOT NULL DEFAULT 0, ADD COLUMN asked_at timestamptz")
    op.execute("CREATE INDEX reservations_held ON reservations (created_at) WHERE status = 'held'")
