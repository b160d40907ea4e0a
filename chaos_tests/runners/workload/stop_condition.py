"""The stop condition of a workload, which also ends every wait."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class StopCondition:
    """The workload stops on request, after its time, or after enough accepted orders."""

    def __init__(self, is_due: Callable[[], str]) -> None:
        self._is_due, self._requested = is_due, asyncio.Event()
        self.reason = ""

    def ask(self, reason: str) -> None:
        """Stop for this reason; an earlier reason is kept."""
        self.reason = self.reason or reason
        self._requested.set()

    def is_met(self) -> bool:
        if not self._requested.is_set() and (due := self._is_due()):
            self.ask(due)
        return self._requested.is_set()

    async def pause(self, seconds: float) -> None:
        """Sleep until the time is over or the workload stops."""
        try:
            async with asyncio.timeout(seconds):
                await self._requested.wait()
        except TimeoutError:
            self.is_met()
