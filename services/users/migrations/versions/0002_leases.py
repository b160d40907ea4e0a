"""Leases: the relay that publishes this database's outbox, and the sweeps, hold one each."""

from alembic import op

from common.storage import leases

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute(leases.SCHEMA_V1.replace("CREATE TABLE leases", "CREATE TABLE IF NOT EXISTS leases"))
