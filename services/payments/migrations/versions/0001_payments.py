"""Payments, refunds, and the kit's tables."""

from alembic import op

from common.messaging import inbox, outbox
from common.storage import leases
from common.web import idempotency

revision = "0001"
down_revision = None

PAYMENTS = """
CREATE TABLE payments (
    id uuid PRIMARY KEY,
    order_id uuid NOT NULL UNIQUE,
    order_known boolean NOT NULL DEFAULT false,
    stock_reserved boolean NOT NULL DEFAULT false,
    cancel_requested boolean NOT NULL DEFAULT false,
    customer_id text,
    amount bigint CHECK (amount >= 0),
    currency text,
    method text,
    status text NOT NULL DEFAULT 'pending'
        CHECK (status IN ('pending', 'captured', 'declined', 'cancelled', 'partially_refunded', 'refunded')),
    refunded bigint NOT NULL DEFAULT 0 CHECK (refunded >= 0 AND (refunded = 0 OR refunded <= amount)),
    decline_code text CHECK ((decline_code IS NULL) = (status <> 'declined')),
    provider_id text,
    closed boolean NOT NULL DEFAULT false,
    version integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (NOT order_known OR num_nulls(customer_id, amount, currency, method) = 0),
    CHECK (provider_id IS NULL OR order_known)
) WITH (fillfactor = 70)
"""
UNSETTLED = """
CREATE INDEX payments_unsettled ON payments (updated_at) WHERE
    (status = 'pending' AND (cancel_requested OR (order_known AND stock_reserved)))
    OR (status IN ('captured', 'partially_refunded') AND cancel_requested)
    OR (status = 'declined' AND provider_id IS NOT NULL AND NOT closed)
"""
REFUNDS = """
CREATE TABLE refunds (
    id uuid PRIMARY KEY,
    payment_id uuid NOT NULL REFERENCES payments (id),
    amount bigint NOT NULL CHECK (amount > 0),
    status text NOT NULL CHECK (status IN ('pending', 'succeeded', 'failed')),
    kind text NOT NULL CHECK (kind IN ('operator', 'compensation')),
    reason text NOT NULL,
    provider_id text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""


def upgrade() -> None:
    op.execute(PAYMENTS)
    op.execute("CREATE INDEX payments_of_customer ON payments (customer_id, id)")
    op.execute(UNSETTLED)
    op.execute(REFUNDS)
    op.execute("CREATE INDEX refunds_of_payment ON refunds (payment_id)")
    op.execute("CREATE INDEX refunds_pending ON refunds (updated_at) WHERE status = 'pending'")
    for ddl in (
        outbox.SCHEMA_V1,
        inbox.SCHEMA_V1,
        inbox.INDEX_V1,
        leases.SCHEMA_V1,
        idempotency.SCHEMA_V1,
        idempotency.INDEX_V1,
    ):
        op.execute(ddl)
