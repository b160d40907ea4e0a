"""Counts of failed sign-ins, and the known networks of an account."""

from alembic import op

from services.users import sign_ins

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute(sign_ins.SCHEMA_V1)
