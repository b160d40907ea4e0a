"""The events as an AsyncAPI 3.0 document, from the contracts: `python -m docs.asyncapi` writes it.

As docs/asyncapi.yaml for people, and as infrastructure/gateway/asyncapi.json, which the gateway serves.

What each service publishes comes from its producers.py, its consumers from the workers' HANDLERS, the examples are the
golden samples in tests/contracts. It is generated completely; a test compares it with the code.
Specification: https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin

from common.messaging import attempt_events, topology
from common.messaging.events import CONTENT_TYPE, Contract

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "tests" / "contracts"
YAML = ROOT / "docs" / "asyncapi.yaml"
SERVED = ROOT / "infrastructure" / "gateway" / "asyncapi.json"
# Published with a retry, by any worker.
ATTEMPT_FAILED = Contract("attempt.failed.v1", "/workers/{context}", attempt_events.SCHEMA, attempt_events.SUMMARY)

_TEXT = {"type": "string", "minLength": 1, "maxLength": 512}
_ENVELOPE = {
    "type": "object",
    "description": "CloudEvents 1.0 in structured JSON, with extensions.",
    "required": ["specversion", "id", "source", "type", "subject", "time", "sequence", "correlationid", "data"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "format": "uuid", "description": "the same event always has the same id"},
        "source": _TEXT,
        "type": _TEXT,
        "subject": _TEXT,
        "time": {"type": "string", "format": "date-time"},
        "datacontenttype": {"const": "application/json"},
        "sequence": {
            "type": "integer",
            "minimum": 1,
            "description": "per source and subject, from 1, without gaps (of attempt.failed.v1: the attempt)",
        },
        "correlationid": _TEXT | {"description": "the id of the request that it began with"},
        "causationid": _TEXT | {"description": "the id of the event that caused it"},
        "orderid": _TEXT | {"description": "the order that it concerns, if any"},
        "traceparent": _TEXT | {"description": "W3C trace context"},
        "data": {"type": "object"},
    },
}


def contracts() -> list[Contract]:
    """Every contract of every service, by type."""
    modules = [import_module(f"services.{path.parent.name}.producers") for path in ROOT.glob("services/*/producers.py")]
    return sorted(
        [ATTEMPT_FAILED, *(each for module in modules for each in module.CONTRACTS)], key=lambda each: each.type
    )


def consumers_by_event_type() -> dict[str, list[str]]:
    """{event type: contexts that have a handler for it}; under "#" those that receive everything."""
    consumers: dict[str, list[str]] = {}
    for path in sorted(ROOT.glob("workers/*/consumers.py")):
        context = path.parent.name
        for event_type in import_module(f"workers.{context}.consumers").HANDLERS:
            consumers.setdefault(event_type, []).append(context)
    return consumers


def document() -> dict[str, Any]:
    """The AsyncAPI document."""
    published, consumers = contracts(), consumers_by_event_type()
    schemas, references = _schemas(published)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Holdfast events",
            "version": "1.0.0",
            "description": "Delivered at least once, per queue; an event may arrive late, twice and out of order. "
            "Readers use their fields and ignore all others.",
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": {"broker": {"host": "localhost:5672", "protocol": "amqp", "protocolVersion": "0.9.1"}},
        "channels": {each.type: _channel(each) for each in published},
        "operations": _operations(published, consumers),
        "components": {
            "messages": {each.type: _message(each, references[each.type]) for each in published},
            "schemas": {"Envelope": _ENVELOPE} | schemas,
        },
    }


def _schemas(published: list[Contract]) -> tuple[dict[str, Any], dict[str, Any]]:
    """All schemas by name, and for each event type a reference to its own."""
    marshmallow = MarshmallowPlugin(_schema_name)
    spec = APISpec("", "", "3.1.0", plugins=[marshmallow])
    resolver: Any = marshmallow.resolver  # created by the specification; it has no annotations
    references = {each.type: resolver.resolve_schema_dict(each.schema) for each in published}
    return spec.to_dict()["components"]["schemas"], references


def _schema_name(schema: Any) -> str:
    kind = schema if isinstance(schema, type) else type(schema)
    return kind.__name__.removesuffix("Schema")


def _channel(contract: Contract) -> dict[str, Any]:
    exchange = {"name": topology.EVENTS.name, "type": "topic", "durable": True, "autoDelete": False}
    return {
        "address": contract.type,
        "summary": contract.summary,
        "messages": {contract.type: {"$ref": f"#/components/messages/{contract.type}"}},
        "bindings": {"amqp": {"is": "routingKey", "exchange": exchange, "bindingVersion": "0.3.0"}},
    }


def _operations(published: list[Contract], consumers: dict[str, list[str]]) -> dict[str, Any]:
    operations = {}
    for each in published:
        sender = "workers" if each is ATTEMPT_FAILED else each.source.rpartition("/")[2]
        operations[f"{sender}.publish.{each.type}"] = _operation("send", each.type, sender)
        for context in sorted({*consumers.get(each.type, []), *consumers.get(topology.EVERYTHING, [])}):
            operations[f"{context}.receive.{each.type}"] = _operation("receive", each.type, context)
    return operations


def _operation(action: str, event_type: str, context: str) -> dict[str, Any]:
    channel = f"#/channels/{event_type}"
    return {
        "action": action,
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{event_type}"}],
        "tags": [{"name": context}],
    }


def _message(contract: Contract, reference: dict[str, Any]) -> dict[str, Any]:
    source = _TEXT if contract is ATTEMPT_FAILED else {"const": contract.source}
    own = {"properties": {"type": {"const": contract.type}, "source": source, "data": reference}}
    sample = json.loads((SAMPLES / f"{contract.type}.json").read_text(encoding="utf-8"))
    return {
        "name": contract.type,
        "title": contract.summary,
        "contentType": CONTENT_TYPE,
        "payload": {"allOf": [{"$ref": "#/components/schemas/Envelope"}, own]},
        "examples": [{"name": "golden sample", "payload": sample}],
    }


class _Dumper(yaml.SafeDumper):
    """Writes a shared value twice, not as an alias that the reader must look up."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def main() -> None:
    whole = document()
    with YAML.open("w", encoding="utf-8") as file:
        yaml.dump(whole, file, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    SERVED.write_text(json.dumps(whole, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
