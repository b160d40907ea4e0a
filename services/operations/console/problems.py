"""The problems on the page Now, each with a link. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

WEBHOOKS_NAMED = 3
FAILURES_IN_A_ROW = 2  # ignore a single failure: it is retried within seconds
UNDECIDED_SECONDS = 10.0  # as long as payments waits before it lists a payment as undecided
MAX_DESCRIPTION = 80
_DEPENDENCIES = {"payment_provider": "the payment provider", "mongodb": "MongoDB"}
_DISABLED = {
    "gone": "it answered 410 Gone",
    "failing": "it has failed for days",
    "requested": "its owner or an operator did it",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem; `page` is the linked endpoint, with its `values`.

    `advice` is the next step. The link is on `label` if there is one, otherwise on `text`.
    """

    state: str
    text: str
    page: str = ""
    values: dict[str, str] = field(default_factory=dict)
    advice: str = ""
    label: str = ""


def failing_webhooks(endpoints: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    """The first failing webhook endpoints by name, the others as a number."""
    dead = [each for each in endpoints if not each["enabled"] or each["consecutive_failures"] >= FAILURES_IN_A_ROW]
    for each in dead[:WEBHOOKS_NAMED]:
        count = each["consecutive_failures"]
        because = _DISABLED.get(each["disabled_reason"], "it was switched off")
        text = f"failed {count} times in a row" if each["enabled"] else f"is disabled: {because}"
        yield Problem("warn", f"Webhook {_name(each)} {text}", "console.show_webhook", {"endpoint_id": each["id"]})
    if more := max(0, len(dead) - WEBHOOKS_NAMED):
        text = f"{more} other webhook {'endpoint fails' if more == 1 else 'endpoints fail'}"
        yield Problem("warn", text, "console.list_webhooks", {"health": "failing"})


def awaited(process: str, view: Mapping[str, Any]) -> str:
    """What a process waits for, by its circuit breakers that are not closed."""
    known = [each for each in view["breakers"] if each["process"] == process and each["state"] != "closed"]
    return " and ".join(_DEPENDENCIES.get(each["breaker"], each["breaker"]) for each in known) or "what it depends on"


def counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _name(endpoint: Mapping[str, Any]) -> str:
    """Its description, which its owner knows it by, and its address."""
    description = str(endpoint.get("description") or "")[:MAX_DESCRIPTION]
    return f"{description} ({endpoint['url']})" if description else str(endpoint["url"])
