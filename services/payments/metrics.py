"""Metrics of refunds that wait for an operator; `common.web.stored_metrics` reads them from the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Gauge

from common.storage.postgresql import autocommit
from services.payments import ledger

if TYPE_CHECKING:
    from sqlalchemy import Engine

OPEN_CASES = Gauge(
    "holdfast_standing_cases", "Refunds of cancelled orders that the provider refuses, and that wait for an operator"
)
OLDEST = Gauge("holdfast_standing_case_oldest_seconds", "Waiting time of the oldest of them; 0: there is none")


def show_open_cases(engine: Engine) -> None:
    """Set the gauges from the database."""
    with autocommit(engine) as connection:
        count, seconds = ledger.count_open_cases(connection)
    OPEN_CASES.set(count)
    OLDEST.set(seconds)
