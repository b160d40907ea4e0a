"""Refunds that the provider refuses: tries, the time of the next try, cases for an operator, money returned another
way. `looks` counts how often a sweep found a payment unsettled and could not settle it.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

EXTERNAL_REFUNDS = """
CREATE TABLE external_refunds (
    id uuid PRIMARY KEY,
    payment_id uuid NOT NULL REFERENCES payments (id),
    amount bigint NOT NULL CHECK (amount > 0),
    reason text NOT NULL,
    reference text,
    provider_refund_id text UNIQUE,
    recorded_by text NOT NULL,
    recorded_at timestamptz NOT NULL
)
"""


def upgrade() -> None:
    op.execute("""
        ALTER TABLE payments
            ADD COLUMN looks smallint NOT NULL DEFAULT 0,
            ADD COLUMN refusals smallint NOT NULL DEFAULT 0,
            ADD COLUMN refusal_code text,
            ADD COLUMN refund_due_at timestamptz,
            ADD COLUMN standing_since timestamptz,
            ADD COLUMN refunded_elsewhere bigint NOT NULL DEFAULT 0
    """)
    op.execute("ALTER TABLE refunds ADD COLUMN code text")
    op.execute(EXTERNAL_REFUNDS)
    op.execute("CREATE INDEX external_refunds_of_payment ON external_refunds (payment_id)")
    with op.get_context().autocommit_block():
        op.execute("""
            CREATE INDEX CONCURRENTLY IF NOT EXISTS payments_standing ON payments (id) WHERE standing_since IS NOT NULL
        """)
