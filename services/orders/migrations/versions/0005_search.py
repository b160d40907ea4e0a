"""An index for searching orders by SKU."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("""
            CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_by_sku
            ON orders USING gin (jsonb_path_query_array(items, '$[*].sku') jsonb_path_ops)
        """)
