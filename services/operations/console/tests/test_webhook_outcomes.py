"""The outcome of an action on a webhook endpoint."""

from __future__ import annotations

from typing import Any

import pytest

from services.operations.console.webhook_outcomes import outcome

REQUESTED, LATER = "2026-01-01T12:00:00Z", "2026-01-01T12:00:01Z"
ON, OFF = {"enabled": True}, {"enabled": False}


def sent(status: int | None, at: str = LATER, kind: str = "webhook.test.v1") -> dict[str, Any]:
    attempt = {"at": at, "status_code": status, "error": "no connection"}
    return {"event_type": kind, "created_at": "2026-01-01T11:00:00Z", "history": [attempt]}


@pytest.mark.parametrize(
    ("act", "endpoint", "deliveries", "state", "text"),
    [
        ("tested", ON, [sent(200, "2026-01-01T11:59:59Z")], "warn", "A test event is requested."),
        ("tested", ON, [sent(200)], "ok", "The test event was sent, and accepted."),
        ("tested", ON, [sent(410, kind="order.placed.v1")], "warn", "A test event is requested."),
        ("tested", OFF, [sent(410)], "bad", "1 of 1 refused: it answered 410."),
        ("resent", ON, [sent(204), sent(None)], "bad", "2 so far, 1 of 2 refused: no connection."),
        ("resent", ON, [sent(204)], "ok", "Sent again: 1 so far, and accepted."),
        ("resent", OFF, [], "bad", "disabled before anything was sent"),
        ("enabled", ON, [], "ok", "The endpoint is enabled."),
        ("disabled", OFF, [], "ok", "The endpoint is disabled."),
        ("dismissed", ON, [], "ok", "delivery is dismissed"),
    ],
)
def test_the_outcome_is_reported_once_it_is_known(
    act: str, endpoint: dict[str, Any], deliveries: list[dict[str, Any]], state: str, text: str
) -> None:
    found = outcome(act, REQUESTED, endpoint, deliveries)
    assert found
    assert (found[0], text in found[1]) == (state, True)


def test_an_outdated_outcome_is_not_reported() -> None:
    assert outcome("enabled", REQUESTED, OFF, []) is None
    assert outcome("disabled", REQUESTED, ON, []) is None
    assert outcome("", "", ON, []) is None
