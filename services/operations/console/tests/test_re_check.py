"""The description of a re-check's result."""

from __future__ import annotations

import pytest

from services.operations.console.re_check import NOTICES, notice_of, result_of


@pytest.mark.parametrize(
    ("outcome", "status", "result", "part"),
    [
        ("unchanged", "captured", "unchanged: captured", "the same, the payment is captured"),
        ("changed", "partially_refunded", "now partially refunded", "it is now partially refunded"),
        ("undecided", "captured", "still undecided", "has not decided about the refund"),
        ("undecided", "pending", "still undecided", "has not decided about the charge"),
    ],
)
def test_the_result_is_described(outcome: str, status: str, result: str, part: str) -> None:
    reply = {"outcome": outcome, "status": status}
    assert result_of(reply) == result
    assert (result_of({}), notice_of({})) == ("", "re-checked")
    assert part in NOTICES[notice_of(reply)]
