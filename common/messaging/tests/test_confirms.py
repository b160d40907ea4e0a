"""The state of a batch while confirms arrive."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from common.messaging.confirms import Batch


def test_one_confirm_may_settle_all_earlier_messages() -> None:
    batch = Batch(["a", "b", "c"], first_tag=8)
    batch.settle(9, multiple=True, taken=True)
    assert (batch.confirmed, batch.done) == ({"a", "b"}, False)
    batch.settle(10, multiple=False, taken=True)
    assert (batch.confirmed, batch.done) == ({"a", "b", "c"}, True)


def test_what_is_refused_or_returned_is_settled_and_not_confirmed() -> None:
    batch = Batch(["a", "b", "c"])
    batch.returned["b"] = "key"
    batch.settle(1, multiple=False, taken=False)
    batch.settle(3, multiple=True, taken=True)
    assert (batch.confirmed, batch.done) == ({"c"}, True)


def test_late_confirms_of_an_earlier_batch_change_nothing() -> None:
    batch = Batch(["a"], first_tag=5)
    batch.settle(4, multiple=True, taken=True)
    batch.settle(2, multiple=False, taken=True)
    assert (batch.confirmed, batch.done) == (set(), False)


@given(st.permutations(range(1, 8)), st.sets(st.integers(1, 7)))
def test_the_order_of_confirms_does_not_matter(order: list[int], refused: set[int]) -> None:
    batch = Batch([f"id-{tag}" for tag in range(1, 8)])
    for tag in order:
        assert not batch.done
        batch.settle(tag, multiple=False, taken=tag not in refused)
    assert batch.done
    assert batch.confirmed == {f"id-{tag}" for tag in range(1, 8) if tag not in refused}
