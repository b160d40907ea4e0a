from pathlib import Path

import pytest

from common.messaging.events import Contract, InvalidEventError, MessageContext, from_json
from services.users import producers
from services.users.domain import Role, User
from services.users.tests.test_domain import _NOW

SAMPLES = Path(__file__).parents[3] / "tests" / "contracts"
JOHN = User(
    id="01928f6d-11aa-7c21-8d43-5b7e9f00c2d1",
    username="johndoe",
    email="john.doe@example.com",
    role=Role.CUSTOMER,
    password_hash=None,
    version=1,
    created_at=_NOW,
)


def test_published_events_match_the_golden_samples() -> None:
    sample = from_json((SAMPLES / "user.registered.v1.json").read_bytes())
    event = producers.user_registered(
        JOHN, MessageContext(sample.correlationid, sample.causationid, sample.traceparent)
    )
    expected = sample.to_document() | {"id": event.id, "time": event.time}
    assert from_json(event.to_json()).to_document() == expected


@pytest.mark.parametrize("contract", producers.CONTRACTS, ids=lambda contract: contract.type)
def test_an_event_that_violates_its_contract_is_not_published(contract: Contract) -> None:
    data = from_json((SAMPLES / f"{contract.type}.json").read_bytes()).data
    for bad in ({}, data | {"email": "john.doe@example.com"}, *({name: data[name]} for name in data)):
        with pytest.raises(InvalidEventError):
            contract.event(subject="x", sequence=1, data=bad, message_context=MessageContext("test"))
