"""The examples that `--help` shows, for each command: one or more whole command lines.

`holdfast/tests/test_examples.py` fails for a command without one, and parses each example.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ORDER = "01a2230d-8e8a-719f-907b-c0b77065153e"
_PAYMENT = "01a2230d-8ea1-7a40-9a6f-3f2f6c1d7a55"
_LETTER = "01a2230d-9b13-7c02-8d43-5b7e9f00c2d2"

EXAMPLES: Mapping[str, Sequence[str]] = {
    "up": ("holdfast up", "holdfast up --home .holdfast-2 --port-base 9000"),
    "down": ("holdfast down", "holdfast down --delete-data"),
    "restart": ("holdfast restart", "holdfast restart service-orders worker-orders"),
    "status": ("holdfast status", "holdfast status --json"),
    "logs": ("holdfast logs worker-payments -f", "holdfast logs gateway -n 50"),
    "env": ("holdfast env orders", "holdfast env --write"),
    "token": ("holdfast token", "holdfast token --role customer"),
    "demo": ("holdfast demo", "holdfast demo --seed 7"),
    "top": ("holdfast top", "holdfast top --once"),
    "audit": ("holdfast audit", "holdfast audit --repair", "holdfast audit --json"),
    "orders": (f"holdfast orders show {_ORDER}",),
    "orders show": (f"holdfast orders show {_ORDER}", f"holdfast orders show {_ORDER} --json"),
    "dead-letters": ("holdfast dead-letters list", f"holdfast dead-letters show {_LETTER}"),
    "dead-letters list": (
        "holdfast dead-letters list --status filed",
        "holdfast dead-letters list --queue orders.events --error ValidationError --json",
    ),
    "dead-letters show": (f"holdfast dead-letters show {_LETTER}",),
    "dead-letters replay": (
        f"holdfast dead-letters replay {_LETTER}",
        "holdfast dead-letters replay --queue orders.events --rate 50",
        f"holdfast dead-letters replay {_LETTER} --event - < repaired.json",
    ),
    "dead-letters discard": (f"holdfast dead-letters discard {_LETTER} --reason 'a test of the shop'",),
    "payments": ("holdfast payments standing-cases",),
    "payments standing-cases": ("holdfast payments standing-cases", "holdfast payments standing-cases --json"),
    "payments retry-refund": (f"holdfast payments retry-refund {_PAYMENT} --reason 'the dispute was won'",),
    "payments record-refund": (
        f"holdfast payments record-refund {_PAYMENT} --reason 'by bank transfer' --reference TRF-7",
        f"holdfast payments record-refund {_PAYMENT} --reason 'by hand' --provider-refund-id re_1 --amount 500",
    ),
    "webhooks": ("holdfast webhooks listen --test",),
    "webhooks listen": (
        "holdfast webhooks listen --test",
        "holdfast webhooks listen --event-type order.confirmed.v1 --count 1 --json",
    ),
    "bench": ("holdfast bench", "holdfast bench --connections 32 --seconds 30 --json"),
    "chaos": ("holdfast chaos list", "holdfast chaos run worker-killed"),
    "chaos list": ("holdfast chaos list", "holdfast chaos list --driver compose"),
    "chaos show": ("holdfast chaos show worker-killed > experiment.json",),
    "chaos run": (
        "holdfast chaos run worker-killed --target-service payments",
        "holdfast chaos run --quick",
        "holdfast chaos run --random --faults 20 --seed 1",
    ),
    "chaos heal": ("holdfast chaos heal",),
    "chaos report": ("holdfast chaos report .holdfast-chaos/runs/1",),
    "chaos matrix": ("holdfast chaos matrix", "holdfast chaos matrix --only postgres:killed"),
    "chaos crashes": ("holdfast chaos crashes", "holdfast chaos crashes --only orders.placed"),
    "chaos malformed": ("holdfast chaos malformed --count 1000",),
    "chaos replays": ("holdfast chaos replays --orders 200",),
    "chaos mutants": ("holdfast chaos mutants",),
    "chaos model": ("holdfast chaos model", "holdfast chaos model --only saga"),
    "secrets": ("holdfast secrets", "holdfast secrets --file .env"),
    "new": ("holdfast new service loyalty --listens order.confirmed.v1",),
    "new service": (
        "holdfast new service loyalty --listens order.confirmed.v1",
        "holdfast new service loyalty --listens order.confirmed.v1 --resource points",
    ),
    "completion": (
        'eval "$(holdfast completion bash)"',
        "holdfast completion fish > ~/.config/fish/completions/holdfast.fish",
    ),
}


def add_examples(command: click.Command, name: str) -> None:
    """Let `--help` of this command, and of each below it, end with its examples."""
    if lines := EXAMPLES.get(name):
        command.epilog = "\n".join(
            ("\b", "Example:" if len(lines) == 1 else "Examples:", *(f"  {line}" for line in lines))
        )
    if isinstance(command, click.Group):
        for below, subcommand in command.commands.items():
            add_examples(subcommand, f"{name} {below}")
