"""Indexes for listing orders by status and for pruning."""

from alembic import op

from common.messaging import inbox
from common.web import idempotency

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_by_status ON orders (status, id)")
        for ddl in (*inbox.INDEXES_V2, *idempotency.INDEXES_V2):
            op.execute(ddl)
