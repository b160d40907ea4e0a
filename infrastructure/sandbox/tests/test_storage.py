"""The data on disk after a stop and after kill -9."""

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import stripe

from infrastructure.sandbox.storage import Storage, StorageError
from infrastructure.sandbox.tests.process import SandboxProcess, intent_of


def test_all_data_survives_a_stop(own_sandbox: SandboxProcess) -> None:
    v1 = own_sandbox.start().client().v1
    paid = v1.payment_intents.create(intent_of(confirm=True, metadata={"order_id": "1"}), {"idempotency_key": "pay"})
    with pytest.raises(stripe.CardError):
        v1.payment_intents.create(intent_of(payment_method="pm_card_chargeDeclined", confirm=True))
    refund = v1.refunds.create({"payment_intent": paid.id, "amount": 5})
    before = [intent.to_dict() for intent in v1.payment_intents.list().data]

    assert own_sandbox.terminate() == 0
    v1 = own_sandbox.start().client().v1

    assert [intent.to_dict() for intent in v1.payment_intents.list().data] == before
    assert v1.refunds.retrieve(refund.id).to_dict() == refund.to_dict()
    again = v1.payment_intents.create(intent_of(confirm=True, metadata={"order_id": "1"}), {"idempotency_key": "pay"})
    assert again.to_dict() == paid.to_dict()
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded"):
        v1.refunds.create({"payment_intent": paid.id, "amount": 1995})


@pytest.mark.slow
def test_a_kill_loses_no_acknowledged_charge_and_repeats_none(own_sandbox: SandboxProcess) -> None:
    """Four clients charge with fixed keys while the sandbox is killed repeatedly."""
    own_sandbox.start()
    finished = threading.Event()
    answered: dict[str, str] = {}
    broken = [0]

    def charge(keys: list[str]) -> None:
        client = own_sandbox.client()
        for key in keys:
            while not finished.is_set():
                try:
                    fields = intent_of(confirm=True, metadata={"order_id": key})
                    intent = client.v1.payment_intents.create(fields, {"idempotency_key": key})
                except stripe.APIConnectionError:
                    broken[0] += 1
                    time.sleep(0.01)
                else:
                    assert answered.setdefault(key, intent.id) == intent.id
                    break

    keys = [str(uuid.uuid4()) for _ in range(600)]
    with ThreadPoolExecutor(4) as pool:
        work = [pool.submit(charge, keys[part::4]) for part in range(4)]
        try:
            for _ in range(4):
                time.sleep(0.25)
                own_sandbox.kill()
                own_sandbox.start()
            for part in work:
                part.result(timeout=120)
        finally:
            finished.set()

    assert broken[0] > 0  # otherwise no kill interrupted a request
    ledger = list(own_sandbox.client().v1.payment_intents.list({"limit": 100}).auto_paging_iter())
    charged = {intent.metadata["order_id"]: intent.id for intent in ledger}
    assert len(ledger) == len(keys)
    assert charged == answered
    assert {(intent.status, intent.amount_received) for intent in ledger} == {("succeeded", 1999)}


def test_a_directory_serves_one_sandbox(own_sandbox: SandboxProcess) -> None:
    own_sandbox.start()
    second = SandboxProcess(own_sandbox.directory)
    second.log = second.directory.with_suffix(".second.log")
    try:
        with pytest.raises(AssertionError, match="another sandbox uses"):
            second.start()
    finally:
        second.close()
    assert own_sandbox.answers()


def test_a_failed_transaction_is_rolled_back(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "new" / "place")
    insert = "INSERT INTO faults (document) VALUES ('{}')"

    def fail() -> None:
        with storage.write() as tx:
            tx.execute(insert)
            raise StorageError("on purpose")

    with pytest.raises(StorageError, match="on purpose"):
        fail()
    with storage.write() as tx:
        tx.execute(insert)
        with storage.read() as reader:  # not committed yet, and the read does not wait
            assert reader.execute("SELECT count(*) FROM faults").fetchone()[0] == 0
    with storage.read() as reader:
        assert reader.execute("SELECT count(*) FROM faults").fetchone()[0] == 1
    storage.close()
