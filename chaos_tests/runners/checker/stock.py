"""P3, checked by a history: the observed stock, and the adjustments of an operator. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaos_tests.runners.checker.operations import settle
from holdfast.audit.views import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chaos_tests.runners.checker.operations import Operations
    from chaos_tests.runners.checker.snapshot import Snapshot


def never_oversold(known: Operations, snapshot: Snapshot) -> Iterator[Finding]:
    """P3: no reader saw negative stock, and the received stock equals the adjustments."""
    for _, seen in known.stocks:
        if seen["available"] < 0 or seen["available"] != seen["on_hand"] - seen["reserved"]:
            numbers = ", ".join(f"{name} {seen[name]}" for name in ("on_hand", "reserved", "available"))
            yield Finding("P3", seen["sku"], f"seen with {numbers}")
    restocks = settle(known.restocks)
    for product in known.run["products"]:
        sku = product["sku"]
        view = snapshot.products.get(sku)
        if view is None or view.product is None:
            yield Finding("P3", sku, "the product is not there any more")
            continue
        received = view.product["on_hand"] + view.product["sold"]
        least = product["on_hand"] + restocks.certain[sku]
        if not least <= received <= least + restocks.in_doubt[sku]:
            doubt = f" (and {restocks.in_doubt[sku]} in doubt)" if restocks.in_doubt[sku] else ""
            yield Finding("P3", sku, f"{least} were put in{doubt}, but {received} came in")
