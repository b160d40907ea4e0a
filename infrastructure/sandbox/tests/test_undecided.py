"""Charges and refunds that the sandbox leaves undecided."""

import pytest
import stripe

from infrastructure.sandbox.tests.process import SandboxProcess, intent_of


@pytest.mark.parametrize(("outcome", "status"), [("succeeded", "succeeded"), ("failed", "requires_payment_method")])
def test_a_charge_is_undecided_until_the_fault_is_removed(sandbox: SandboxProcess, outcome: str, status: str) -> None:
    client = sandbox.client()
    intent = client.v1.payment_intents.create(intent_of())
    sandbox.set_faults({"kind": "undecided", "outcome": outcome, "match": {"operation": "confirm"}})
    confirmed = client.v1.payment_intents.confirm(intent.id)
    assert (confirmed.status, confirmed.amount_received) == ("processing", 0)
    for call in (client.v1.payment_intents.cancel, client.v1.payment_intents.confirm):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            call(intent.id)
        assert caught.value.code == "payment_intent_unexpected_state"
    assert client.v1.payment_intents.retrieve(intent.id).status == "processing"
    sandbox.set_faults()
    decided = client.v1.payment_intents.retrieve(intent.id)
    assert (decided.status, decided.amount_received) == (status, 1999 if status == "succeeded" else 0)


@pytest.mark.parametrize("state", ["pending", "requires_action"])
@pytest.mark.parametrize(("outcome", "left"), [("succeeded", 0), ("failed", 1999)])
def test_a_refund_is_undecided_until_the_fault_is_removed(
    sandbox: SandboxProcess, state: str, outcome: str, left: int
) -> None:
    client = sandbox.client()
    intent = client.v1.payment_intents.create(intent_of(confirm=True))
    sandbox.set_faults({"kind": "undecided", "state": state, "outcome": outcome, "match": {"operation": "refund"}})
    made = client.v1.refunds.create({"payment_intent": intent.id})
    assert made.status == state
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.refunds.create({"payment_intent": intent.id})  # it counts as refunded for now
    sandbox.set_faults()
    assert client.v1.refunds.retrieve(made.id).status == outcome
    if left:
        assert client.v1.refunds.create({"payment_intent": intent.id}).amount == left


def test_undecided_objects_survive_a_kill(own_sandbox: SandboxProcess) -> None:
    client = own_sandbox.start().client()
    own_sandbox.set_faults({"kind": "undecided"})
    intent = client.v1.payment_intents.create(intent_of(confirm=True))
    own_sandbox.kill()
    own_sandbox.start()
    assert client.v1.payment_intents.retrieve(intent.id).status == "processing"
    own_sandbox.set_faults()
    assert client.v1.payment_intents.retrieve(intent.id).status == "succeeded"
