"""Money, shared by all contexts. Each context defines its own currencies."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Money:
    """Integer minor units of a lower-case ISO 4217 currency."""

    amount: int
    currency: str
