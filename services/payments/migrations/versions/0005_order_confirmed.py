"""Payments records that an order is confirmed, so it can ask about captured payments without a known end of their
order.

Existing rows count as confirmed: orders is not asked about all history. `holdfast audit --repair` asks about
inconsistent ones.
"""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute("ALTER TABLE payments ADD COLUMN order_confirmed boolean NOT NULL DEFAULT true")
    op.execute("ALTER TABLE payments ALTER COLUMN order_confirmed SET DEFAULT false")
    with op.get_context().autocommit_block():
        op.execute("""
            CREATE INDEX CONCURRENTLY IF NOT EXISTS payments_unended ON payments (updated_at)
            WHERE status IN ('captured', 'partially_refunded') AND NOT order_confirmed AND NOT cancel_requested
        """)
