"""Indexes for pruning."""

from alembic import op

from common.web import idempotency

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for ddl in idempotency.INDEXES_V2:
            op.execute(ddl)
