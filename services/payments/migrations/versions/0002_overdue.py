"""Overdue payments: when orders was asked about one, and how often."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("ALTER TABLE payments ADD COLUMN asks smallint NOT NULL DEFAULT 0, ADD COLUMN asked_at timestamptz")
    op.execute("""
        CREATE INDEX payments_waiting ON payments (created_at)
        WHERE status = 'pending' AND order_known AND NOT stock_reserved AND NOT cancel_requested
    """)
