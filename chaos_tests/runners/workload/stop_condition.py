"""The stop condition of a workload. It ends every other wait as well."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class StopCondition:
    """When it is over: somebody said so, the time is up, or enough orders were accepted."""

    def __init__(self, is_due: Callable[[], str]) -> None:
        self._is_due, self._requested = is_due, asyncio.Event()
        self.reason = ""

    def ask(self, reason: str) -> None:
        """End it, for this reason unless there was one before."""
        self.reason = self.reason or reason
        self._requested.set()

    def has_come(self) -> bool:
        if not self._requested.is_set() and (due := self._is_due()):
            self.ask(due)
        return self._requested.is_set()

    async def pause(self, seconds: float) -> None:
        """Sleep, but no longer than until it is over."""
        try:
            async with asyncio.timeout(seconds):
                await self._requested.wait()
        except TimeoutError:
            self.has_come()
