"""Money, as every context means it. Which currencies there are is each context's own affair."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Money:
    """Integer minor units of a lower-case ISO 4217 currency."""

    amount: int
    currency: str
