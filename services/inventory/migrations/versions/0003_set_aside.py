"""The outbox marks unroutable events, so that they block no others."""

from alembic import op

from common.messaging import outbox

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute(outbox.SCHEMA_V2)
    with op.get_context().autocommit_block():
        for ddl in outbox.INDEXES_V2:
            op.execute(ddl)
