"""Which endpoints are listed as failing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from common.tests.webhook_receiver import Reply
from common.web.pagination import Page
from services.notifications import usecases
from services.notifications.tests.builders import CUSTOMER, OPERATOR, RULES, make_endpoint, record, sample
from services.notifications.tests.test_dispatching import run

if TYPE_CHECKING:
    from collections.abc import Callable

    from pymongo.database import Database

    from common.security.tokens import Caller
    from common.tests.webhook_receiver import Receiver
    from services.notifications.dispatching import Dispatcher

    Store = Database[dict[str, Any]]

pytestmark = pytest.mark.integration


def failing(store: Store, caller: Caller = OPERATOR) -> list[str]:
    return [each["_id"] for each in usecases.list_endpoints(store, caller, Page(), is_failing=True)]


@pytest.mark.parametrize("status", [500, 410])
def test_an_endpoint_is_listed_as_failing_until_it_is_enabled_again_or_disabled_by_request(
    store: Store, receiver: Receiver, make_dispatcher: Callable[..., Dispatcher], status: int
) -> None:
    make_endpoint(store, f"{receiver.url}/good")
    bad, _ = make_endpoint(store, f"{receiver.url}/bad")
    receiver.replies["/bad"] = Reply(status)
    record(store, sample("order.placed.v1"))
    run(make_dispatcher())
    assert failing(store) == [bad]
    assert failing(store, CUSTOMER) == []
    for is_enabled in (status == 410, status != 410):
        usecases.change_endpoint(store, RULES, OPERATOR, bad, {"enabled": is_enabled})
        assert failing(store) == []
    receiver.replies.clear()
    usecases.change_endpoint(store, RULES, OPERATOR, bad, {"enabled": True})
    record(store, sample("order.placed.v1"))
    run(make_dispatcher())
    assert failing(store) == []
