"""The metrics of webhooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import REGISTRY

from common.tests.webhook_receiver import Reply
from services.notifications.domain import Outcome, Reason
from services.notifications.metrics import count_attempt
from services.notifications.tests.builders import make_endpoint, record, sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from pymongo.database import Database

    from common.tests.webhook_receiver import Receiver
    from services.notifications.dispatching import Dispatcher


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.mark.parametrize(("status", "kind"), [(200, "delivered"), (500, "answered"), (None, "error")])
def test_an_attempt_is_counted_by_its_outcome(status: int | None, kind: str) -> None:
    before = value("holdfast_webhook_attempts_total", outcome=kind)
    count_attempt(Outcome(status, "", 0.1))
    assert value("holdfast_webhook_attempts_total", outcome=kind) == before + 1


@pytest.mark.integration
def test_a_disabled_endpoint_is_counted_with_its_reason(
    store: Database[dict[str, Any]], receiver: Receiver, make_dispatcher: Callable[..., Dispatcher]
) -> None:
    before = value("holdfast_webhook_endpoints_disabled_total", reason=Reason.GONE)
    receiver.replies["/a"] = Reply(410)
    make_endpoint(store, f"{receiver.url}/a")
    record(store, sample("order.placed.v1"))
    dispatcher = make_dispatcher()
    claimed = dispatcher.claim(is_suspect=False)
    assert claimed is not None
    dispatcher.take_turn(claimed)
    assert value("holdfast_webhook_endpoints_disabled_total", reason=Reason.GONE) == before + 1
