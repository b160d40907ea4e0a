"""Form-encoded parameters, nested the way Stripe's clients write them: `metadata[order_id]=7`, `expand[0]=x`.

Guarantee: for any bytes, the result is a nested dictionary of strings, or one precise 400. `params.py` interprets the
parameters.
"""

import re
from typing import Any
from urllib.parse import parse_qsl

from infrastructure.sandbox.errors import ApiError

FIELDS = 500
DEPTH = 5
NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
FORM = "application/x-www-form-urlencoded"


def decode_body(body: bytes, content_type: str) -> dict[str, Any]:
    """The parameters of a POST."""
    if not body:
        return {}
    if content_type.partition(";")[0].strip().lower() != FORM:
        raise ApiError(f"Invalid request (check that your POST content type is {FORM}).")
    try:
        return decode(body.decode("ascii"))
    except UnicodeDecodeError as error:
        raise ApiError("Invalid request body: a form holds ASCII only, other bytes percent-encoded.") from error


def decode(encoded: str) -> dict[str, Any]:
    """The parameters of a query string or form; of a name given twice, the last counts."""
    try:
        pairs = parse_qsl(encoded, keep_blank_values=True, max_num_fields=FIELDS, errors="strict")
    except UnicodeDecodeError as error:
        raise ApiError("Invalid UTF-8 in the parameters.") from error
    except ValueError as error:
        raise ApiError(f"Too many parameters: up to {FIELDS} are accepted.") from error
    tree: dict[str, Any] = {}
    for name, value in pairs:
        if "\0" in name or "\0" in value:
            raise ApiError("Parameters must not hold NUL characters.", code="invalid_characters")
        _place(tree, _path(name), value, name)
    return tree


def _path(name: str) -> list[str]:
    found = NAME.fullmatch(name)
    path = [found[1], *re.findall(r"\[([^\[\]]*)\]", found[2])] if found else []
    if not 0 < len(path) <= DEPTH:
        raise ApiError(f"Invalid parameter name: {name[:100]}")
    return path


def _place(tree: dict[str, Any], path: list[str], value: str, name: str) -> None:
    *parents, leaf = path
    for parent in parents:
        tree = tree.setdefault(parent, {})
        if not isinstance(tree, dict):
            raise ApiError(f"Parameter {name[:100]} is both a value and a hash.", param=path[0])
    leaf = leaf or str(len(tree))  # `name[]=a&name[]=b` counts up
    if isinstance(tree.get(leaf), dict):
        raise ApiError(f"Parameter {name[:100]} is both a value and a hash.", param=path[0])
    tree[leaf] = value
