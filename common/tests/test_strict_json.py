import json

import pytest

from common.strict_json import MAX_DEPTH, MalformedJsonError, loads


@pytest.mark.parametrize(
    "document",
    [
        {"a": [1, -1, 0.5, True, None, "ä€😀", {}], "b": {"c": []}},
        2**63 - 1,
        -(2**63),
        "a backslash before u0000: \\u0000",
    ],
)
def test_what_is_json_is_read_as_json_says(document: object) -> None:
    assert loads(json.dumps(document).encode()) == document
    assert loads(json.dumps(document, ensure_ascii=False).encode()) == document


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"{} {}", "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b'"\xff"', "not UTF-8"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        (b'{"a": 1, "a": 2}', "same key twice"),
        (b'[{"b": {"a": 1, "\\u0061": 2}}]', "same key twice"),
        (b"NaN", "NaN"),
        (b"[Infinity]", "Infinity"),
        (b"-Infinity", "Infinity"),
        (b"1e999", "too large"),
        (b"9223372036854775808", "64 bits"),
        (b"-9223372036854775809", "64 bits"),
        (b"1" * 5000, "64 bits"),
        (b'"a\\u0000b"', "U+0000"),
        (b'{"a\\u0000": 1}', "U+0000"),
        (b'[["\\u0000"]]', "U+0000"),
        (b'"\\ud800"', "surrogate"),
        (b'{"\\udfff": 1}', "surrogate"),
        (b"[" * 60_000, "deeper"),
        (b'{"a":' * 10_000, "deeper"),
    ],
)
def test_what_is_not_the_same_to_everybody_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(MalformedJsonError, match=reason.replace("+", r"\+")) as caught:
        loads(body)
    assert (caught.value.status, caught.value.code) == (400, "malformed_json")


def test_nesting_is_bounded_exactly() -> None:
    loads(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    with pytest.raises(MalformedJsonError, match="deeper"):
        loads(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))


def test_a_surrogate_pair_is_one_character() -> None:
    assert loads(b'"\\ud83d\\ude00"') == "😀"
