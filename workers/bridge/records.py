"""An archived event as a Kafka record: CloudEvents' Kafka binding, structured mode. Pure.

https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/kafka-protocol-binding.md
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

CONTENT_TYPE = b"application/cloudevents+json; charset=UTF-8"
_ATTRIBUTES = (
    "source", "type", "subject", "time", "sequence", "correlationid", "causationid", "orderid", "traceparent",
)  # fmt: skip
_CONTEXT = re.compile(r"/(?:services|workers)/([a-z0-9_-]{1,100})", re.ASCII)


class Record(NamedTuple):
    """A record, and its position in the archive."""

    topic: str
    key: bytes
    value: bytes
    position: int


def record(document: Mapping[str, Any], prefix: str) -> Record:
    """One topic per context, named by the event's source; the key is the subject, so a subject stays in one
    partition.
    """
    found = _CONTEXT.fullmatch(document["source"])
    topic = f"{prefix}.{found[1] if found else 'other'}"
    attributes = {"specversion": "1.0", "id": document["_id"], "datacontenttype": "application/json"}
    attributes |= {name: document[name] for name in _ATTRIBUTES if name in document}
    # The data is already JSON text, and must not change.
    value = f'{json.dumps(attributes, separators=(",", ":"))[:-1]},"data":{document["data"]}}}'
    return Record(topic, document["subject"].encode("utf-8", "replace"), value.encode(), document["position"])
