"""The problems on the page Now, each with a link. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

WEBHOOKS_NAMED = 3
FAILURES_IN_A_ROW = 2  # ignore a single failure: it is retried within seconds


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem; `page` is the linked endpoint, with its `values`."""

    state: str
    text: str
    page: str = ""
    values: dict[str, str] = field(default_factory=dict)


def failing_webhooks(endpoints: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    """The first failing webhook endpoints by name, the others as a number."""
    dead = [each for each in endpoints if not each["enabled"] or each["consecutive_failures"] >= FAILURES_IN_A_ROW]
    for each in dead[:WEBHOOKS_NAMED]:
        count = each["consecutive_failures"]
        text = f"{count} failures in a row" if each["enabled"] else f"disabled: {each['disabled_reason']}"
        yield Problem("warn", f"Webhook {each['url']}: {text}", "console.show_webhook", {"endpoint_id": each["id"]})
    if more := max(0, len(dead) - WEBHOOKS_NAMED):
        text = f"{more} other webhook {'endpoint fails' if more == 1 else 'endpoints fail'}"
        yield Problem("warn", text, "console.list_webhooks", {"health": "failing"})
