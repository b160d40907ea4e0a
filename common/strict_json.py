"""Strict JSON parsing: input that two parsers could interpret differently is rejected.

Refused: bytes that are not UTF-8, duplicate keys, NaN and infinities, integers beyond 64 bits, deep nesting, and text
that PostgreSQL cannot hold (U+0000, lone surrogates). RFC 8259 leaves these open; I-JSON (RFC 7493) closes them.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, NoReturn

from common.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH = 32
_MAX_INTEGER_DIGITS = 19  # of 2**63 - 1
_LEAST_INTEGER, _GREATEST_INTEGER = -(2**63), 2**63 - 1


class MalformedJsonError(Malformed):
    """The body is not JSON, or is ambiguous JSON."""

    code = "malformed_json"


def loads(body: bytes) -> Any:
    """Parse `body`, or raise `MalformedJsonError` with what is wrong with it."""
    try:
        document = _DECODER.decode(body.decode())
    except UnicodeDecodeError as error:
        message = f"the body is not UTF-8: {error.reason} at byte {error.start}"
        raise MalformedJsonError(message) from None
    except json.JSONDecodeError as error:
        message = f"the body is not JSON: {error.msg} at line {error.lineno} column {error.colno}"
        raise MalformedJsonError(message) from None
    except RecursionError:
        raise MalformedJsonError(_TOO_DEEP) from None
    # Only an escape can contain U+0000 or half a surrogate pair: other forms are invalid UTF-8 or JSON.
    _check(document, check_texts=b"\\u" in body)
    return document


_TOO_DEEP = f"the body is nested deeper than {MAX_DEPTH} levels"


def levels(document: Any) -> Iterator[list[Any]]:
    """The values of each level of nesting, from the outermost on. Keys count as values of their object."""
    level = [document]
    while level:
        yield level
        level = [child for value in level if isinstance(value, dict | list) for child in _children(value)]


def finite_float(digits: str) -> float:
    """For a decoder: a finite number. Raises `MalformedJsonError`."""
    value = float(digits)
    if math.isinf(value):
        raise MalformedJsonError("a number is too large")
    return value


def no_constant(name: str) -> NoReturn:
    """For a decoder: NaN and infinities are refused."""
    message = f"{name} is not JSON"
    raise MalformedJsonError(message)


def _check(document: Any, *, check_texts: bool) -> None:
    for depth, level in enumerate(levels(document)):
        if check_texts:
            _check_texts(level)
        if depth == MAX_DEPTH and any(isinstance(value, dict | list) for value in level):
            raise MalformedJsonError(_TOO_DEEP)


def _children(container: dict[str, Any] | list[Any]) -> list[Any]:
    return [*container.keys(), *container.values()] if isinstance(container, dict) else container


def _check_texts(values: list[Any]) -> None:
    for value in values:
        if not isinstance(value, str):
            continue
        if "\x00" in value:
            raise MalformedJsonError("a string contains the character U+0000")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise MalformedJsonError("a string contains a lone surrogate") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise MalformedJsonError("an object has the same key twice")
    return result


def _integer(digits: str) -> int:
    if len(digits.lstrip("-")) <= _MAX_INTEGER_DIGITS and _LEAST_INTEGER <= (value := int(digits)) <= _GREATEST_INTEGER:
        return value
    raise MalformedJsonError("an integer does not fit in 64 bits")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=finite_float, parse_constant=no_constant
)
