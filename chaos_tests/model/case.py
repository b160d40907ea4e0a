"""What is checked of a model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chaos_tests.model.checking import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Case:
    """A model as it is, which must hold."""

    model: str
    kind: Kind
    bounds: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A guarantee taken away; Spin must find the violation. `breaks` is the property that it must name."""

    model: str
    name: str
    without: str
    breaks: str
    bounds: Mapping[str, int] = field(default_factory=dict)
    kind: Kind = Kind.SHORTEST
