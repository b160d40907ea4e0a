"""The checks of a model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chaos_tests.model.checking import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Case:
    """An unchanged model, which must hold."""

    model: str
    kind: Kind
    bounds: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A removed guarantee; Spin must find the violation. `breaks` is the expected property."""

    model: str
    name: str
    without: str
    breaks: str
    bounds: Mapping[str, int] = field(default_factory=dict)
    kind: Kind = Kind.SHORTEST
