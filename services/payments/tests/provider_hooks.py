"""Hooks around the calls to the provider, for races and crashes during a charge."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.payments.provider import Provider
    from services.payments.resources import Resources


class Crash(BaseException):
    """The process dies here: the tested code must not catch it."""


def crash() -> None:
    raise Crash


def interrupted(resources: Resources, **moments: Callable[[], object]) -> Resources:
    """The same resources with hooks: `before_confirm=act` calls `act` before the first confirmation, and so on."""
    return replace(resources, provider=cast("Provider", _Interrupted(resources.provider, moments)))


class _Interrupted:
    def __init__(self, provider: Provider, moments: dict[str, Callable[[], object]]) -> None:
        self._provider, self._moments = provider, moments

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._provider, name)

        def call(*arguments: Any) -> Any:
            self._reach(f"before_{name}")
            answer = method(*arguments)
            self._reach(f"after_{name}")
            return answer

        return call

    def _reach(self, moment: str) -> None:
        if act := self._moments.pop(moment, None):
            act()
