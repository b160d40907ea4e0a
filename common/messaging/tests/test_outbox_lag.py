"""The gauges of an outbox, between two measurements and at them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text

from common.messaging import outbox_lag
from common.messaging.outbox_lag import OutboxLag
from common.messaging.outbox_rows import OutboxRows
from common.storage.postgresql import transaction

if TYPE_CHECKING:
    from common.tests.outboxes import Outbox

pytestmark = pytest.mark.integration


def shown(name: str) -> float:
    return REGISTRY.get_sample_value(f"holdfast_outbox_{name}", {"database": "lag-test"}) or 0.0


def test_the_measured_age_grows_until_the_next_measurement(box: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_lag, "MEASURE_SECONDS", 0.0)
    lag = OutboxLag("lag-test", OutboxRows(box.engine))
    lag.measure()
    assert (shown("rows"), shown("oldest_seconds"), shown("set_aside_rows"), shown("set_aside_seconds")) == (0, 0, 0, 0)
    box.fill(3)
    with transaction(box.engine) as connection:
        connection.execute(text("UPDATE outbox SET created_at = now() - interval '1 hour'"))
        connection.execute(text("UPDATE outbox SET set_aside_at = now() WHERE position = 1"))
    lag.measure()
    assert (shown("rows"), shown("set_aside_rows")) == (2, 1)
    for name in ("oldest_seconds", "set_aside_seconds"):
        before = shown(name)
        assert 3600 <= before < 3660
        time.sleep(0.01)
        assert shown(name) > before
    lag.is_active = False
    assert shown("oldest_seconds") == shown("oldest_seconds")


def test_the_database_is_not_asked_again_before_a_measurement_is_due(
    box: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_lag, "MEASURE_SECONDS", 600.0)  # a second may pass while an event is written
    lag = OutboxLag("lag-test", OutboxRows(box.engine))
    lag.measure()
    box.fill(1)
    lag.measure()
    assert shown("rows") == 0


def test_what_the_relay_has_fetched_is_known_at_once(box: Outbox) -> None:
    lag = OutboxLag("lag-test", OutboxRows(box.engine))
    box.fill(7)
    lag.measure()
    lag.fetched(2, 5.0, is_all=False)
    assert shown("rows") == 7  # there were so many, and these two are but the first
    assert 5 <= shown("oldest_seconds") < 60
    lag.fetched(1, 3.0, is_all=True)
    assert shown("rows") == 1
    lag.fetched(0, 0.0, is_all=True)
    assert (shown("rows"), shown("oldest_seconds")) == (0, 0)
