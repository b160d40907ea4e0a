"""Orders, the price list, and the kit's tables."""

from alembic import op

from common.messaging import inbox, outbox
from common.storage import leases
from common.web import idempotency

revision = "0001"
down_revision = None

ORDERS = """
CREATE TABLE orders (
    id uuid PRIMARY KEY,
    customer_id text NOT NULL,
    idempotency_key text NOT NULL,
    fingerprint text NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'reserved', 'confirmed', 'cancelled')),
    cancel_reason text CHECK ((cancel_reason IS NULL) = (status <> 'cancelled')),
    items jsonb NOT NULL,
    total bigint NOT NULL CHECK (total >= 0),
    currency text NOT NULL,
    payment_method text NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    UNIQUE (customer_id, idempotency_key)
) WITH (fillfactor = 80)
"""
PRICES = """
CREATE TABLE prices (
    sku text PRIMARY KEY,
    name text NOT NULL,
    amount bigint NOT NULL CHECK (amount >= 0),
    currency text NOT NULL,
    sequence bigint NOT NULL
)
"""


def upgrade() -> None:
    op.execute(ORDERS)
    op.execute("CREATE INDEX orders_of_customer ON orders (customer_id, id)")
    op.execute("CREATE INDEX orders_open ON orders (created_at) WHERE status IN ('pending', 'reserved')")
    op.execute(PRICES)
    for ddl in (
        outbox.SCHEMA_V1,
        inbox.SCHEMA_V1,
        inbox.INDEX_V1,
        leases.SCHEMA_V1,
        idempotency.SCHEMA_V1,
        idempotency.INDEX_V1,
    ):
        op.execute(ddl)
