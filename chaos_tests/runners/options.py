"""What a call of `holdfast chaos run` asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from infrastructure.local.home import existing_home

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Options:
    """As given on the command line."""

    names: tuple[str, ...] = ()
    everything: bool = False
    quick: bool = False
    is_random: bool = False
    schedule_file: Path | None = None
    shrink: bool = False
    together: bool = False
    faults: int = 20
    seed: int = 1
    orders: int = 0
    target: str = ""
    hold_seconds: float | None = None
    clients: int = 8
    rate: float = 10
    recovery: float = 30.0
    home: Path | None = None
    port_base: int = 8800
    rabbitmq_nodes: int | None = None
    driver: str = "local"
    project: str = "holdfast"
    output: Path | None = None
    table: Path | None = None
    keep: bool = False

    @property
    def is_one_run(self) -> bool:
        """Whether all steps share a workload and a history."""
        return self.quick or self.is_random or self.together or bool(self.schedule_file)

    @property
    def is_own_stack(self) -> bool:
        return self.driver == "local" and self.home is None

    @property
    def nodes(self) -> int:
        """How many nodes the broker has, or will have."""
        if self.driver != "local":
            return 1
        known = existing_home(self.home) if self.home else None
        return known.rabbitmq_nodes if known else self.rabbitmq_nodes or 1
