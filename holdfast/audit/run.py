"""The audit as a whole: read, check, and read what does not agree again until it is stable."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.audit.promises import check_order, check_product

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.audit.reading import Reader
    from holdfast.audit.views import Finding, OrderView, Reading

PAUSE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was read, and what is broken for good."""

    reading: Reading
    findings: list[Finding]
    read_again: int


def audit(reader: Reader, *, settle_seconds: float, progress: Callable[[str], None]) -> Verdict:
    """Check every promise; a mismatch counts if it is still there after `settle_seconds` of looking again."""
    deadline = time.monotonic() + settle_seconds
    reading = reader.read(progress)
    suspects = {view.id: view for view in reading.orders.values() if check_order(view)}
    read_again = len(suspects)
    suspects = _until_stable(reader, suspects, deadline, progress)
    products = _check_products(reading)
    while products and time.monotonic() < deadline:
        # A product's numbers hang on every order: read all of it anew.
        progress(f"{len({finding.subject for finding in products})} products again")
        time.sleep(PAUSE_SECONDS)
        reading = reader.read(progress)
        products = _check_products(reading)
    orders = [finding for view in suspects.values() for finding in check_order(view)]
    return Verdict(reading, sorted(orders + products, key=lambda finding: finding.promise), read_again)


def _until_stable(
    reader: Reader, suspects: dict[str, OrderView], deadline: float, progress: Callable[[str], None]
) -> dict[str, OrderView]:
    while suspects and time.monotonic() < deadline:
        progress(f"{len(suspects)} orders again")
        time.sleep(PAUSE_SECONDS)
        views = [reader.read_order(view) for view in suspects.values()]
        suspects = {view.id: view for view in views if check_order(view)}
    return suspects


def _check_products(reading: Reading) -> list[Finding]:
    return [finding for view in reading.products.values() for finding in check_product(view)]
