"""Generated requests, good and bad, against a service's own OpenAPI document. Any context's tests may call it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import schemathesis
from hypothesis import HealthCheck, assume, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi.checks import positive_data_acceptance

from common.messaging.events import new_id

if TYPE_CHECKING:
    from collections.abc import Collection

    from flask import Flask

EXAMPLES = 25


def check_conformance(app: Flask, headers: dict[str, str], *, rules_in_words: Collection[str] = ()) -> int:
    """Send every operation requests made from the document, and some that break it; answer how many operations.

    No reply may be a fault, or other than documented; what breaks the document must be refused. Operations in
    `rules_in_words` ("POST /path") may refuse more than their schema can say.
    """
    load_all_checks()
    schema: Any = schemathesis.openapi.from_wsgi("/openapi.json", app)
    schema.config.generation.update(with_security_parameters=False)  # `headers` carries the token, a good one
    operations = [found.ok() for found in schema.get_all_operations()]
    for operation in operations:
        excluded = [positive_data_acceptance] if operation.label in rules_in_words else []
        _check(operation, GenerationMode.POSITIVE, headers, excluded)
        with suppress(Unsatisfiable):  # where nothing can be wrong
            _check(operation, GenerationMode.NEGATIVE, headers, excluded)
    return len(operations)


def _check(operation: Any, mode: GenerationMode, headers: dict[str, str], excluded: list[Any]) -> None:
    # The same examples each time: a run that fails must fail again.
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(mode))
    def check(case: Any) -> None:
        assume(all(value not in (None, [], {}) for value in (case.query or {}).values()))  # would not be sent at all
        if mode is GenerationMode.POSITIVE and "Idempotency-Key" in (case.headers or {}):
            case.headers["Idempotency-Key"] = new_id()  # a key that another example has used may be refused
        case.call_and_validate(headers=headers, excluded_checks=excluded)

    check()
