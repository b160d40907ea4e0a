"""The console's pages in the order of the menu.

A new page is one more line: its endpoint, its label, and the endpoints that are shown as a part of it.
"""

from __future__ import annotations

NAVIGATION: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("console.show_now", "Now", ()),
    ("console.list_orders", "Orders", ("console.show_order",)),
    ("console.list_dead_letters", "Dead letters", ("console.show_dead_letter", "console.show_replay")),
    ("console.list_cases", "Cases", ()),
    ("console.list_webhooks", "Webhooks", ("console.show_webhook", "console.rotate_webhook_secret")),
    ("console.list_promises", "Promises", ("console.show_audit",)),
    ("console.show_try", "Try it", ("console.place_order",)),
    ("console.show_break", "Break something", ()),
)
LOCAL = frozenset({"console.show_break"})  # pages that only a local stack has
