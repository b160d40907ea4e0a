"""The outcome of an action on a webhook endpoint, derived from the endpoint and its deliveries. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_WAITING = {
    "tested": "A test event is requested. Its delivery is the newest below.",
    "resent": "Requested. The deliveries below show the outcome.",
}
_TEST = "webhook.test.v1"
_SUCCESS = range(200, 300)


def outcome(
    act: str, since: str, endpoint: Mapping[str, Any], deliveries: Sequence[Mapping[str, Any]]
) -> tuple[str, str] | None:
    """(state, sentence) for an action at the time `since`; None if it is no longer relevant."""
    if act == "dismissed":
        return "ok", "The delivery is dismissed."
    if act in {"enabled", "disabled"}:
        return _switched(act, endpoint)
    if act not in _WAITING:
        return None
    attempts = [
        attempt
        for delivery in deliveries
        if (delivery["event_type"] == _TEST if act == "tested" else delivery["created_at"] < since)
        for attempt in delivery["history"]
        if attempt["at"] >= since
    ]
    if not attempts:
        return ("bad", "The endpoint was disabled before anything was sent.") if not endpoint["enabled"] else (
            "warn", _WAITING[act]
        )  # fmt: skip
    failed = [attempt for attempt in attempts if attempt["status_code"] not in _SUCCESS]
    sent = "The test event was sent" if act == "tested" else f"Sent again: {len(attempts)} so far"
    if not failed:
        return "ok", f"{sent}, and accepted."
    last = max(failed, key=lambda attempt: str(attempt["at"]))
    answer = f"it answered {last['status_code']}" if last["status_code"] else last["error"]
    return "bad", f"{sent}, {len(failed)} of {len(attempts)} refused: {answer}."


def _switched(act: str, endpoint: Mapping[str, Any]) -> tuple[str, str] | None:
    """None if the endpoint was switched back since, automatically or by someone else."""
    if endpoint["enabled"] != (act == "enabled"):
        return None
    if act == "enabled":
        return "ok", "The endpoint is enabled. What failed before is sent when you resend it."
    return "ok", "The endpoint is disabled. What waits for it is listed as failed."
