"""Both sides of every event: its publisher, its golden sample, and its readers.

A sample in tests/contracts is what an event looks like on the wire. The publisher's schema must accept it and every
reader must understand it, so the two sides meet here without importing each other.
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from cloudevents.core.bindings.rabbitmq import RabbitMQMessage, from_structured
from cloudevents.core.formats.json import JSONFormat

from common.messaging import topology
from common.messaging.events import CONTENT_TYPE, Contract, Event, InvalidEventError, from_json
from common.messaging.inbox import Delivery
from docs.asyncapi import ATTEMPT_FAILED, contracts
from services.notifications.domain import EVENT_TYPES

ROOT = Path(__file__).parents[1]
SAMPLES = {path.stem: path for path in sorted((ROOT / "tests" / "contracts").glob("*.json"))}
CONTRACTS = contracts()
HANDLERS = {
    path.parent.name: import_module(f"workers.{path.parent.name}.consumers").HANDLERS
    for path in sorted(ROOT.glob("workers/*/consumers.py"))
}
# These cannot be subscribed to, so they never reach its queue.
NOT_FOR_SUBSCRIBERS = {("notifications", event_type) for event_type in set(SAMPLES) - set(EVENT_TYPES)}
ROUTED = [
    (context, sample)
    for context, handlers in HANDLERS.items()
    for sample in SAMPLES
    if (sample in handlers or topology.EVERYTHING in handlers) and (context, sample) not in NOT_FOR_SUBSCRIBERS
]


class ReachedStoreError(Exception):
    """A handler has read its event and starts its work."""


class Stub:
    """Replaces a handler's resources: its attributes are stubs too, and the first use ends the handler."""

    def __getattr__(self, name: str) -> Stub:
        if name.startswith("__"):
            raise AttributeError(name)
        return Stub()

    def __call__(self, *_: Any, **__: Any) -> Any:
        raise ReachedStoreError

    def __getitem__(self, _: Any) -> Any:
        raise ReachedStoreError

    def __enter__(self) -> Any:
        raise ReachedStoreError

    def __exit__(self, *_: object) -> None:
        """Never reached."""


def sample(event_type: str) -> Event:
    return from_json(SAMPLES[event_type].read_bytes())


def receive(context: str, event: Event) -> None:
    handlers = HANDLERS[context]
    handler = handlers.get(event.type) or handlers[topology.EVERYTHING]
    handler(Delivery(context, event), Stub())


def test_contracts_and_readers_are_found() -> None:
    assert {"/services/orders", "/services/payments", "/services/inventory", "/services/users"} <= {
        contract.source for contract in CONTRACTS
    }
    assert {"orders", "payments", "inventory", "archive"} <= set(HANDLERS)


def test_every_contract_is_in_its_producers_list() -> None:
    for path in ROOT.glob("services/*/producers.py"):
        module = import_module(f"services.{path.parent.name}.producers")
        made = {name: each for name, each in vars(module).items() if isinstance(each, Contract)}
        assert set(made.values()) == set(module.CONTRACTS), path


def test_a_type_is_published_by_one_service() -> None:
    types = [contract.type for contract in CONTRACTS]
    assert sorted(types) == sorted(set(types))


def test_every_contract_has_a_sample() -> None:
    assert set(SAMPLES) == {contract.type for contract in CONTRACTS}


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.type)
def test_a_sample_matches_its_publishers_schema(contract: Contract) -> None:
    event = sample(contract.type)
    assert event.type == contract.type
    assert contract is ATTEMPT_FAILED or event.source == contract.source
    assert contract.schema.validate(event.data) == {}
    # Exactly as the publisher writes it.
    assert event.to_document() == json.loads(SAMPLES[contract.type].read_bytes())


@pytest.mark.parametrize("event_type", SAMPLES)
def test_the_public_sdk_reads_a_sample_as_a_cloud_event(event_type: str) -> None:
    body = sample(event_type).to_json().encode()
    message = RabbitMQMessage(headers={}, content_type=CONTENT_TYPE, body=body)
    read = from_structured(message, JSONFormat())
    event = sample(event_type)
    assert (read.get_id(), read.get_source(), read.get_type()) == (event.id, event.source, event.type)
    assert (read.get_subject(), read.get_data()) == (event.subject, event.data)
    assert read.get_extension("correlationid") == event.correlationid
    assert read.get_extension("sequence") == event.sequence


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.type)
def test_a_publisher_rejects_data_outside_its_contract(contract: Contract) -> None:
    data = sample(contract.type).data
    for name in data:
        assert contract.schema.validate({key: value for key, value in data.items() if key != name}), f"without {name}"
    assert contract.schema.validate(data | {"colour": "red"})


@pytest.mark.parametrize(("context", "event_type"), ROUTED)
def test_every_reader_accepts_the_sample(context: str, event_type: str) -> None:
    with pytest.raises(ReachedStoreError):
        receive(context, sample(event_type))


@pytest.mark.parametrize(("context", "event_type"), ROUTED)
def test_every_reader_ignores_unknown_fields(context: str, event_type: str) -> None:
    document = json.loads(SAMPLES[event_type].read_bytes())
    document["colour"] = document["data"]["colour"] = {"of tomorrow": [1]}
    with pytest.raises(ReachedStoreError):
        receive(context, from_json(json.dumps(document)))


@pytest.mark.parametrize(("context", "event_type"), ROUTED)
def test_a_reader_rejects_unusable_data_before_any_effect(context: str, event_type: str) -> None:
    document = json.loads(SAMPLES[event_type].read_bytes())
    empty = from_json(json.dumps(document | {"data": {}}))
    # The archive stores every event.
    expected = ReachedStoreError if topology.EVERYTHING in HANDLERS[context] else InvalidEventError
    with pytest.raises(expected):
        receive(context, empty)


def test_every_consumed_event_has_a_publisher() -> None:
    consumed = {event_type for handlers in HANDLERS.values() for event_type in handlers} - {topology.EVERYTHING}
    assert consumed <= {contract.type for contract in CONTRACTS}
