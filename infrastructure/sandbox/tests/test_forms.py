from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrastructure.sandbox.errors import ApiError
from infrastructure.sandbox.forms import DEPTH, FORM, decode, decode_body


@pytest.mark.parametrize(
    ("encoded", "tree"),
    [
        ("", {}),
        ("a=1&b=", {"a": "1", "b": ""}),
        ("metadata[order_id]=7&metadata[x]=%5By%5D", {"metadata": {"order_id": "7", "x": "[y]"}}),
        ("metadata%5Border_id%5D=7", {"metadata": {"order_id": "7"}}),
        ("expand[]=a&expand[]=b", {"expand": {"0": "a", "1": "b"}}),
        ("expand[0]=a&expand[1]=b", {"expand": {"0": "a", "1": "b"}}),
        ("a[b][c]=1&a[b][d]=2", {"a": {"b": {"c": "1", "d": "2"}}}),
        ("a=1&a=2", {"a": "2"}),
        ("a=%C3%BC+%2B", {"a": "ü +"}),
    ],
)
def test_brackets_are_parsed_as_nesting(encoded: str, tree: dict[str, Any]) -> None:
    assert decode(encoded) == tree


@pytest.mark.parametrize(
    "encoded",
    [
        *("a=1&a[b]=2", "a[b]=1&a=2", "a[b]=1&a[b][c]=2", "[a]=1", "a[=1", "a]=1", "a[b]c=1", "=1"),
        *("a=%FF", "a=%00", "a%00=1", "a" + "[b]" * DEPTH + "=1", "&".join(["a=1"] * 10_000)),
    ],
)
def test_malformed_forms_are_rejected(encoded: str) -> None:
    with pytest.raises(ApiError) as caught:
        decode(encoded)
    assert caught.value.status == 400


@given(st.binary(max_size=300))
def test_any_bytes_are_parsed_or_rejected(body: bytes) -> None:
    assert decodes_or_refuses(lambda: decode_body(body, FORM))


@given(st.text(alphabet="ab[]=&%0", max_size=40))
def test_any_brackets_are_parsed_or_rejected(encoded: str) -> None:
    assert decodes_or_refuses(lambda: decode(encoded))


def decodes_or_refuses(call: Callable[[], Any]) -> bool:
    try:
        return all_text(call())
    except ApiError as error:
        return error.status == 400


def all_text(tree: Any) -> bool:
    if isinstance(tree, dict):
        return all(isinstance(key, str) and key and all_text(value) for key, value in tree.items())
    return isinstance(tree, str)
