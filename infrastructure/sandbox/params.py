"""Typed reading of one request's parameters, with Stripe's refusals.

Use: read every parameter of the operation, then call `finish`, which rejects the rest. This module does not use the
ledger, so a rejection is never stored under an idempotency key.
"""

import re
from collections.abc import Iterable
from typing import Any

from infrastructure.sandbox.errors import ApiError

TEXT_LENGTH = 5_000
METADATA_KEYS = 50
METADATA_KEY_LENGTH = 40
METADATA_VALUE_LENGTH = 500
INTEGER = re.compile(r"-?[0-9]{1,15}")


class Params:
    """The unread parameters."""

    def __init__(self, tree: dict[str, Any], prefix: str = "") -> None:
        self._tree = dict(tree)
        self._prefix = prefix

    def text(self, name: str, *, required: bool = False, length: int = TEXT_LENGTH) -> str | None:
        """A string; None if it is absent or (as Stripe's clients unset things) empty."""
        value = self._tree.pop(name, None)
        if isinstance(value, dict):
            raise ApiError(f"Invalid string: {name} is a hash", param=self._full(name))
        if value == "" and required:
            raise ApiError(
                f"You passed an empty string for '{name}'.", code="parameter_invalid_empty", param=self._full(name)
            )
        if value is None and required:
            raise ApiError(f"Missing required param: {name}.", code="parameter_missing", param=self._full(name))
        if value is not None and len(value) > length:
            raise ApiError(f"Invalid string: {name} has more than {length} characters", param=self._full(name))
        return value or None

    def integer(self, name: str, *, required: bool = False, minimum: int | None = None) -> int | None:
        value = self.text(name, required=required, length=TEXT_LENGTH)
        if value is None:
            return None
        if not INTEGER.fullmatch(value):
            raise self._not_an_integer(name, f"Invalid integer: {value[:50]}")
        if minimum is not None and int(value) < minimum:
            raise self._not_an_integer(name, f"This value must be greater than or equal to {minimum}.")
        return int(value)

    def flag(self, name: str) -> bool:
        value = self.text(name)
        if value not in (None, "true", "false"):
            raise ApiError(f"Invalid boolean: {value[:50]}", param=self._full(name))
        return value == "true"

    def choice(self, name: str, options: Iterable[str]) -> str | None:
        value = self.text(name)
        known = list(options)
        if value is not None and value not in known:
            listed = ", ".join(known[:-1]) + f", or {known[-1]}" if len(known) > 1 else known[0]
            raise ApiError(f"Invalid {name}: must be one of {listed}", param=self._full(name))
        return value

    def hash(self, name: str) -> "Params":
        """The parameters below `name[...]`."""
        value = self._tree.pop(name, None)
        if value in (None, ""):
            value = {}
        if not isinstance(value, dict):
            raise ApiError(f"Invalid hash: {name}", param=self._full(name))
        return Params(value, self._full(name))

    def names(self) -> list[str]:
        """The unread parameters."""
        return list(self._tree)

    def has_hash(self, name: str) -> bool:
        """Whether `name` came as a hash rather than as one value."""
        return isinstance(self._tree.get(name), dict)

    def texts(self, name: str) -> list[str]:
        """The strings of an array."""
        below = self.hash(name)
        return [text for index in below.names() if (text := below.text(index)) is not None]

    def metadata(self) -> dict[str, str]:
        """Up to 50 pairs; a pair with an empty value is none."""
        below = self.hash("metadata")
        if len(below.names()) > METADATA_KEYS:
            raise ApiError(
                f"Metadata can have up to {METADATA_KEYS} keys, but you've set {len(below.names())}.", param="metadata"
            )
        pairs = {key: below.text(key, length=METADATA_VALUE_LENGTH) for key in below.names()}
        for key in pairs:
            if len(key) > METADATA_KEY_LENGTH:
                raise ApiError(
                    f"Metadata keys can be up to {METADATA_KEY_LENGTH} characters long.", param=f"metadata[{key[:60]}]"
                )
        return {key: value for key, value in pairs.items() if value is not None}

    def ignore(self, *names: str) -> None:
        """Accept parameters without an effect in a sandbox."""
        for name in names:
            self._tree.pop(name, None)

    def finish(self) -> None:
        """Reject unread parameters instead of ignoring them."""
        for name in self._tree:
            full = self._full(name)[:200]
            raise ApiError(f"Received unknown parameter: {full}", code="parameter_unknown", param=full)

    def _full(self, name: str) -> str:
        return f"{self._prefix}[{name}]" if self._prefix else name

    def _not_an_integer(self, name: str, message: str) -> ApiError:
        return ApiError(message, code="parameter_invalid_integer", param=self._full(name))
