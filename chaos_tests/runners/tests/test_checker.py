"""The checker: a run without violations is valid, and every planted violation is found."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from chaos_tests.runners.checker.check import check
from chaos_tests.runners.checker.conditions import Thresholds
from chaos_tests.runners.checker.synthetic import SECONDS_PER_WISH, Made, make
from chaos_tests.runners.history import INFO
from chaos_tests.runners.tests.violations import (
    PLANTED,
    WISHES,
    judged,
    pick,
    put,
    record,
)
from holdfast.audit.views import ORDERS


def test_a_run_without_violations_is_valid() -> None:
    verdict = judged(lambda _: None)
    assert {promise.promise: promise.verdict for promise in verdict.promises if promise.verdict != "valid"} == {
        "P6": "untried"
    }
    assert {condition.verdict for condition in verdict.conditions} == {"valid"}
    assert verdict.verdict == "valid"
    [fault] = verdict.faults
    assert fault.took_effect
    assert fault.in_doubt == WISHES // 50
    assert fault.recovery_seconds is not None
    assert fault.recovery_seconds <= 20 * SECONDS_PER_WISH


@pytest.mark.parametrize(
    ("promise", "plant"),
    [(promise, plant) for promise, plants in PLANTED.items() for plant in plants],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_planted_violation_is_found(promise: str, plant: Callable[[Made], None]) -> None:
    verdict = judged(plant)
    assert promise in {known.promise for known in verdict.promises if known.verdict == "invalid"}
    assert verdict.verdict == "invalid"
    offender = next(o for o in verdict.offenders if any(text.startswith(promise) for text in o.findings))
    assert offender.id
    assert json.dumps(verdict.document())


def in_doubt(made: Made) -> None:
    """The order's only response is lost, so the order may exist."""
    view = pick(made, "confirmed")
    placed = next(r for r in made.records if r.get("f") == "place" and r["value"].get("id") == view.id)
    placed.update(type=INFO, value={}, error="TimeoutError")


def between_two_orders(made: Made) -> dict[str, float]:
    sent = [r["t_mono"] for r in made.records if r.get("f") == "place" and r["type"] == "invoke"][5]
    return {"began": sent - 0.003, "ended": sent - 0.001}


def has_a_fault_of_a_moment(made: Made) -> None:
    fault = record(made, "fault")
    made.records.insert(made.records.index(fault), fault | between_two_orders(made) | {"took_effect": True})


def parks_batches(made: Made) -> None:
    """Three workers park a batch of 64 each in one second, and nothing after it."""
    made.now += 1
    made.add("sample", deliveries={"done": 7 * WISHES, "parked": 3 * 64}, duplicates={})


@pytest.mark.parametrize("plant", [in_doubt, has_a_fault_of_a_moment, parks_batches])
def test_an_uncertain_outcome_is_no_violation(plant: Callable[[Made], None]) -> None:
    assert judged(plant).verdict == "valid"


def has_no_end(made: Made) -> None:
    made.records.pop()


def is_torn(made: Made) -> None:
    made.add("torn")


def did_not_bite(made: Made) -> None:
    record(made, "fault")["took_effect"] = False


def ends_with_the_fault(made: Made) -> None:
    record(made, "fault")["ended"] = made.now + 1


def has_only_a_moment(made: Made) -> None:
    record(made, "fault").update(between_two_orders(made), took_effect=True)


def has_no_orders(made: Made) -> None:
    made.records = [r for r in made.records if r["kind"] != "op"]
    made.snapshot.orders.clear()
    for view in made.snapshot.products.values():
        assert view.product is not None
        view.product.update(sold=0, on_hand=view.product["on_hand"] + view.product["sold"])
        view.product["available"] = view.product["on_hand"]
    made.snapshot = replace(
        made.snapshot, products={sku: replace(v, sold_by_orders=0) for sku, v in made.snapshot.products.items()}
    )


@pytest.mark.parametrize(
    "plant",
    [has_no_end, is_torn, did_not_bite, ends_with_the_fault, has_only_a_moment, has_no_orders],
)
def test_an_inconclusive_run_is_unknown(plant: Callable[[Made], None]) -> None:
    assert judged(plant).verdict == "unknown"


def does_not_rest(made: Made) -> None:
    made.snapshot = replace(made.snapshot, drained=False, waiting="orders.events: 7")


def dies_without_an_outage(made: Made) -> None:
    letter = {"id": "l", "status": "filed", "queue": "orders.events", "reason": "rejected", "error_class": "KeyError"}
    made.snapshot.letters.append(letter | {"failed_at": "2027-01-01T00:00:00Z"})


def stops_orders(made: Made) -> None:
    """An order was requested during the fault, and none was accepted."""
    sent = [r["t_mono"] for r in made.records if r.get("f") == "place" and r["type"] == "invoke"][5]
    record(made, "fault").update(began=sent - 0.001, ended=sent + 0.003, took_effect=True)


def spins(made: Made) -> None:
    """A worker parks the same delivery on and on."""
    for second in range(1, 13):
        made.now += 1
        made.add("sample", deliveries={"done": 7 * WISHES, "parked": second * 150}, duplicates={})


@pytest.mark.parametrize("plant", [does_not_rest, dies_without_an_outage, stops_orders, spins])
def test_a_violated_condition_is_invalid(plant: Callable[[Made], None]) -> None:
    verdict = judged(plant)
    assert verdict.verdict == "invalid"
    assert "invalid" in {condition.verdict for condition in verdict.conditions}


def test_a_late_recovery_is_invalid() -> None:
    made = make(WISHES)
    assert check(made.records, made.snapshot, Thresholds(recovery_seconds=0.001)).verdict == "invalid"


def test_an_order_version_below_its_events_is_found() -> None:
    def plant(made: Made) -> None:
        view = pick(made, "confirmed")
        assert {event.source for event in view.events} > {ORDERS}
        put(made, view, version=5)

    assert judged(plant).verdict == "invalid"
