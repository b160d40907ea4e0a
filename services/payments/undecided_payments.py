"""Lists payments whose charge or refund the provider has not decided for a while, for operators. Read-only.

At most `MAX_LOOKED_AT` charges and as many refunds are read, the least recently polled first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from common.storage.postgresql import autocommit
from services.payments.ledger import UNSETTLED, with_refund_pending
from services.payments.models import COLUMNS, to_payment

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from services.payments.domain import Payment

WAITING_SECONDS = 10.0  # a normal decision takes less
MAX_LOOKED_AT = 1000
# Both by the partial indexes of the sweep that polls them, payments_unsettled and refunds_pending.
_PAGE = text(f"""
    WITH undecided AS (
        (SELECT id FROM payments
         WHERE ({UNSETTLED}) AND status = 'pending' AND provider_id IS NOT NULL
           AND created_at < statement_timestamp() - make_interval(secs => :seconds)
         ORDER BY updated_at LIMIT {MAX_LOOKED_AT})
        UNION
        (SELECT payment_id FROM refunds
         WHERE status = 'pending' AND created_at < statement_timestamp() - make_interval(secs => :seconds)
         ORDER BY updated_at LIMIT {MAX_LOOKED_AT})
    ), page AS (
        SELECT id FROM undecided
        WHERE CAST(:before AS uuid) IS NULL OR id < CAST(:before AS uuid) ORDER BY id DESC LIMIT :limit
    )
    SELECT {COLUMNS} FROM payments WHERE id IN (SELECT id FROM page) ORDER BY payments.id DESC
""")  # noqa: S608 - constants


def list_undecided(engine: Engine, *, before: str | None, limit: int) -> list[Payment]:
    """Payments that have waited for `WAITING_SECONDS` or longer, newest first."""
    values = {"before": before, "limit": limit, "seconds": WAITING_SECONDS}
    with autocommit(engine) as connection:
        found = [to_payment(row) for row in connection.execute(_PAGE, values).mappings()]
        return with_refund_pending(connection, found)
