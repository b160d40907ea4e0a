"""Products, reservations, and the kit's tables."""

from alembic import op

from common.messaging import inbox, outbox
from common.storage import leases
from common.web import idempotency

revision = "0001"
down_revision = None

# Byte order, independent of the server's locale, for pagination. Free space in each page keeps the many updates of a
# product's stock in place (heap-only), off the index.
PRODUCTS = """
CREATE TABLE products (
    sku text COLLATE "C" PRIMARY KEY,
    name text NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    currency text NOT NULL,
    on_hand bigint NOT NULL,
    reserved bigint NOT NULL,
    sold bigint NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT stock_is_never_oversold CHECK (reserved >= 0 AND on_hand >= reserved AND sold >= 0)
) WITH (fillfactor = 50)
"""
RESERVATIONS = """
CREATE TABLE reservations (
    order_id uuid PRIMARY KEY,
    status text NOT NULL CHECK (status IN ('held', 'sold', 'released', 'rejected', 'cancelled')),
    items jsonb NOT NULL,
    version integer NOT NULL CHECK (version >= 0),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 80)
"""


def upgrade() -> None:
    op.execute(PRODUCTS)
    op.execute(RESERVATIONS)
    for ddl in (
        outbox.SCHEMA_V1,
        inbox.SCHEMA_V1,
        inbox.INDEX_V1,
        leases.SCHEMA_V1,
        idempotency.SCHEMA_V1,
        idempotency.INDEX_V1,
    ):
        op.execute(ddl)
