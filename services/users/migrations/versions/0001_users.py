"""Users, their API keys, and the kit's tables."""

from alembic import op

from common.messaging import outbox
from common.web import idempotency

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE users (
            id uuid PRIMARY KEY,
            username text NOT NULL,
            email text NOT NULL,
            role text NOT NULL,
            password_hash text,
            version integer NOT NULL,
            created_at timestamptz NOT NULL
        )
    """)
    # Prevent impersonation by names that differ only in case.
    op.execute("CREATE UNIQUE INDEX users_username ON users (lower(username))")
    op.execute("CREATE UNIQUE INDEX users_email ON users (lower(email))")
    op.execute("""
        CREATE TABLE api_keys (
            id uuid PRIMARY KEY,
            user_id uuid NOT NULL REFERENCES users (id),
            digest bytea NOT NULL UNIQUE,
            hint text NOT NULL,
            created_at timestamptz NOT NULL
        )
    """)
    op.execute("CREATE INDEX api_keys_of_user ON api_keys (user_id, id DESC)")
    op.execute(outbox.SCHEMA_V1)
    op.execute(idempotency.SCHEMA_V1)
    op.execute(idempotency.INDEX_V1)
