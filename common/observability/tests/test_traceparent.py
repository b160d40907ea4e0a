import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.observability import traceparent

VALID = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_valid_one_is_read() -> None:
    assert traceparent.parse(VALID) == ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", 1)
    assert traceparent.parse(VALID.replace("00-", "cc-", 1)) == traceparent.parse(VALID)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "00-trace",
        VALID.upper(),
        VALID + "-x",
        VALID.replace("00-", "ff-", 1),
        VALID.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
        VALID.replace("00f067aa0ba902b7", "0" * 16),
    ],
)
def test_an_invalid_traceparent_is_ignored(text: str | None) -> None:
    assert traceparent.parse(text) is None
    assert traceparent.log_ids(text) == {}


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    assert traceparent.parse(text) is None


def test_what_is_made_is_valid_and_says_whether_it_is_recorded() -> None:
    parts = traceparent.parse(VALID)
    assert parts is not None
    assert traceparent.make(parts.trace_id, parts.span_id, sampled=True) == VALID
    assert traceparent.make(parts.trace_id, parts.span_id, sampled=False) == VALID[:-2] + "00"


def test_fresh_ones_differ() -> None:
    first, second = traceparent.parse(traceparent.fresh()), traceparent.parse(traceparent.fresh())
    assert first is not None
    assert second is not None
    assert first.trace_id != second.trace_id


def test_a_log_line_gets_both_ids() -> None:
    assert traceparent.log_ids(VALID) == {
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "span_id": "00f067aa0ba902b7",
    }
