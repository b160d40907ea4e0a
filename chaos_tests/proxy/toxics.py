"""The faults of a connection, in Toxiproxy's terms, and their attributes with limits.

Source: https://github.com/Shopify/toxiproxy#toxics. `garbage` is an extension: the stream becomes random bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

STREAMS = ("upstream", "downstream")
# type -> attribute -> (default, largest). Times in milliseconds, sizes in bytes, rates in kilobytes a second.
ATTRIBUTES: dict[str, dict[str, tuple[int, int]]] = {
    "latency": {"latency": (0, 600_000), "jitter": (0, 600_000)},
    "bandwidth": {"rate": (0, 10_000_000)},
    "slow_close": {"delay": (0, 600_000)},
    "timeout": {"timeout": (0, 600_000)},
    "reset_peer": {"timeout": (0, 600_000)},
    "slicer": {"average_size": (64, 1_000_000), "size_variation": (0, 1_000_000), "delay": (0, 10_000_000)},
    "limit_data": {"bytes": (0, 10_000_000_000)},
    "garbage": {},
}


class InvalidError(ValueError):
    """A request that the API rejects, with the reason."""


@dataclass(frozen=True)
class Toxic:
    """`toxicity` is the share of affected connections."""

    name: str
    type: str
    stream: str = "downstream"
    toxicity: float = 1.0
    attributes: dict[str, int] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "type": self.type,
            "stream": self.stream,
            "toxicity": self.toxicity,
            "attributes": self.attributes,
        }


def read_toxic(document: Any, known: Toxic | None = None) -> Toxic:
    """A toxic from a request's JSON, merged over the `known` one. Raises `InvalidError`."""
    if not isinstance(document, dict):
        raise InvalidError("a toxic is a JSON object")
    kind = known.type if known else document.get("type")
    if kind not in ATTRIBUTES:
        message = f"type is one of {', '.join(ATTRIBUTES)}"
        raise InvalidError(message)
    stream = known.stream if known else document.get("stream", "downstream")
    if stream not in STREAMS:
        raise InvalidError("stream is upstream or downstream")
    toxicity = document.get("toxicity", known.toxicity if known else 1.0)
    if not isinstance(toxicity, int | float) or not 0 <= toxicity <= 1:
        raise InvalidError("toxicity is a number from 0 to 1")
    name = known.name if known else str(document.get("name") or f"{kind}_{stream}")
    attributes = _attributes(kind, document.get("attributes") or {}, known.attributes if known else {})
    return Toxic(name, kind, stream, float(toxicity), attributes)


def _attributes(kind: str, given: Any, known: dict[str, int]) -> dict[str, int]:
    if not isinstance(given, dict) or set(given) - set(ATTRIBUTES[kind]):
        message = f"the attributes of {kind} are {', '.join(ATTRIBUTES[kind]) or 'none'}"
        raise InvalidError(message)
    values = {}
    for name, (default, largest) in ATTRIBUTES[kind].items():
        value = given.get(name, known.get(name, default))
        if type(value) is not int or not 0 <= value <= largest:
            message = f"{name} is an integer from 0 to {largest}"
            raise InvalidError(message)
        values[name] = value
    return values
