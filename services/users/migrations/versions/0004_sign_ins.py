"""Failed sign-ins are counted, and the networks that an account signs in from are known."""

from alembic import op

from services.users import sign_ins

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute(sign_ins.SCHEMA_V1)
