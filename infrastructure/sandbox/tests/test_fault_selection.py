"""Which requests a fault affects, and how long it stays active."""

import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import stripe

from infrastructure.sandbox.tests.fault_effects import raw, struck, wait_until_struck
from infrastructure.sandbox.tests.process import SandboxProcess, intent_of


@pytest.mark.parametrize(
    ("match", "hit"),
    [
        ({"operation": "refund"}, {"refund"}),
        ({"operation": "retrieve"}, {"retrieve"}),
        ({"method": "GET"}, {"retrieve"}),
        ({"method": "POST", "path": "/v1/payment_intents$"}, {"create"}),
        ({"path": "/(confirm|cancel)$"}, {"confirm", "cancel"}),
        ({"path": "nowhere"}, set()),
        ({}, {"create", "confirm", "cancel", "retrieve", "refund"}),
    ],
)
def test_a_match_limits_the_affected_requests(sandbox: SandboxProcess, match: dict[str, str], hit: set[str]) -> None:
    v1 = sandbox.client().v1
    sandbox.set_faults({"kind": "rate_limit", "match": match})
    calls: dict[str, Any] = {
        "create": lambda: v1.payment_intents.create(intent_of()),
        "confirm": lambda: v1.payment_intents.confirm("pi_1"),
        "cancel": lambda: v1.payment_intents.cancel("pi_1"),
        "retrieve": lambda: v1.payment_intents.retrieve("pi_1"),
        "refund": lambda: v1.refunds.create({"payment_intent": "pi_1"}),
    }
    limited = set()
    for name, call in calls.items():
        try:
            call()
        except stripe.RateLimitError:
            limited.add(name)
        except stripe.InvalidRequestError:
            pass
    assert limited == hit


def statuses(sandbox: SandboxProcess, count: int) -> list[int]:
    return [sandbox.get("/v1/payment_intents?limit=1").status_code for _ in range(count)]


def test_a_seed_repeats_the_same_sequence(sandbox: SandboxProcess) -> None:
    fault = {"kind": "error", "rate": 0.5, "seed": 7}
    sequences = []
    for _ in range(2):
        sandbox.set_faults(fault)
        sequences.append(statuses(sandbox, 30))
    assert sequences[0] == sequences[1]
    assert set(sequences[0]) == {200, 500}
    sandbox.set_faults({**fault, "seed": 8})
    assert statuses(sandbox, 30) != sequences[0]


def test_the_rate_is_the_share_of_affected_requests(sandbox: SandboxProcess) -> None:
    sandbox.set_faults({"kind": "error", "rate": 0.3, "seed": 1})
    assert 30 <= statuses(sandbox, 200).count(500) <= 90
    sandbox.set_faults({"kind": "error", "rate": 0})
    assert statuses(sandbox, 20) == [200] * 20


def test_remaining_is_exact_under_concurrency(sandbox: SandboxProcess) -> None:
    sandbox.set_faults({"kind": "error", "remaining": 7})
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: sandbox.get("/v1/refunds?limit=1").status_code, range(40)))
    assert (answers.count(500), answers.count(200)) == (7, 33)
    assert struck(sandbox) == [7]


def test_the_first_injected_fault_applies(sandbox: SandboxProcess) -> None:
    sandbox.set_faults({"kind": "rate_limit", "remaining": 1}, {"kind": "error", "remaining": 1})
    assert statuses(sandbox, 3) == [429, 500, 200]


def test_faults_survive_a_kill(own_sandbox: SandboxProcess) -> None:
    own_sandbox.start().set_faults({"kind": "error", "remaining": 4}, {"kind": "latency", "seconds": 0.01})
    assert statuses(own_sandbox, 2) == [500, 500]
    own_sandbox.kill()
    own_sandbox.start()
    assert struck(own_sandbox)[0] == 2
    assert statuses(own_sandbox, 4) == [500, 500, 200, 200]


def test_a_stop_ends_hangs(own_sandbox: SandboxProcess) -> None:
    own_sandbox.start().set_faults({"kind": "hang", "seconds": 300})
    with raw(own_sandbox) as connection:
        wait_until_struck(own_sandbox)
        own_sandbox.signal(signal.SIGTERM)
        assert connection.recv(1) == b""
        assert own_sandbox.wait() == 0
    assert own_sandbox.logged()[-1]["drained"], "the stop waited for the hang in vain"
