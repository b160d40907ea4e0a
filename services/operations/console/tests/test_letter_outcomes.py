"""The outcome of a replay on the page of a dead letter."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from services.operations.console.letter_outcomes import arrivals, expected_outcome, is_invalid, last_edit, outcome

NOW = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)
FILED = {"kind": "filed", "at": "2026-01-01T11:00:00Z"}
REQUESTED = {"kind": "replay_requested", "at": "2026-01-01T12:00:00Z", "replay_id": "r1", "by": "u1"}
EDITED = REQUESTED | {"edited_sha256": "abc"}
SENT = {"kind": "replayed", "at": "2026-01-01T12:00:02Z", "replay_id": "r1", "outcome": "published"}
BACK = {"kind": "returned", "at": "2026-01-01T12:00:01Z", "replay_id": "r1", "error": "no such order"}


def letter(*history: dict[str, Any], **changes: Any) -> dict[str, Any]:
    known = {"status": "filed", "queue": "orders.events", "error_class": "builtins.KeyError", "reason": "rejected"}
    return known | {"history": [FILED, *history]} | changes


@pytest.mark.parametrize(
    ("history", "state", "text", "is_settled"),
    [
        ([REQUESTED], "warn", "The event is on its way to orders.events.", False),
        ([EDITED, SENT | {"at": "2026-01-01T12:00:25Z"}], "warn", "The edited event was sent to orders.events", False),
        ([REQUESTED, SENT], "ok", "The event was replayed 28 s ago and has not failed again", True),
        ([REQUESTED, BACK, SENT], "bad", "failed again in orders.events: no such order", True),
        (
            [REQUESTED, SENT | {"outcome": "no_such_queue"}],
            "bad",
            "could not be sent to orders.events: no such queue.",
            True,
        ),
        ([REQUESTED, SENT, BACK, EDITED], "warn", "The edited event is on its way", False),
    ],
)
def test_the_outcome_is_that_of_the_last_replay(
    history: list[dict[str, Any]], state: str, text: str, *, is_settled: bool
) -> None:
    found = outcome(letter(*history), NOW)
    assert found
    assert (found.state, found.is_settled, text in found.text) == (state, is_settled, True)


def test_there_is_no_outcome_without_a_replay_or_after_a_discard() -> None:
    assert outcome(letter(), NOW) is None
    assert outcome(letter(REQUESTED, SENT, BACK, status="discarded"), NOW) is None


def test_the_expected_outcome_depends_on_the_error() -> None:
    invalid = "common.messaging.events.InvalidEventError"
    assert is_invalid(invalid)
    assert expected_outcome(letter(error_class=invalid)) == "invalid"
    assert expected_outcome(letter(reason="not_an_event", error_class="")) == "invalid"
    assert expected_outcome(letter(FILED | {"error_class": invalid}, EDITED, BACK)) == "invalid"
    assert expected_outcome(letter()) == "refused"
    assert expected_outcome(letter(reason="attempts_exhausted")) == "open"


def test_arrivals_and_the_last_edit_are_found() -> None:
    history = [FILED, EDITED, SENT, BACK, REQUESTED]
    assert arrivals(history) == 2
    assert last_edit(history) == EDITED
    assert last_edit([FILED]) is None
