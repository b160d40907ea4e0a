"""Calls to other contexts that reject, hang, or return malformed JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from services.operations.console import contexts
from services.operations.console.contexts import (
    ContextDownError,
    Contexts,
    RefusedError,
    SignedOutError,
    failing_services,
)
from services.operations.console.tests.fake_services import Fakes, fakes

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def others() -> Iterator[Fakes]:
    with fakes("orders") as running:
        yield running


def get(others: Fakes, **query: Any) -> dict[str, Any]:
    return Contexts(others.metrics_urls).get("orders", "/orders", "the token", **query)


def test_requests_carry_the_operators_token(others: Fakes) -> None:
    others["orders"].answers["GET /api/v1/orders"] = (200, {"data": []})
    assert get(others, status="pending", limit=5, starting_after=None) == {"data": []}
    sent = others["orders"].sent[0]
    assert sent.path == "/api/v1/orders?status=pending&limit=5"
    assert sent.headers["Authorization"] == "Bearer the token"


def test_a_rejection_has_the_problem_document(others: Fakes) -> None:
    problem = {"detail": "no such order", "code": "not_found", "errors": {"id": ["odd"]}}
    others["orders"].answers["GET /api/v1/orders"] = (404, problem)
    with pytest.raises(RefusedError, match="no such order") as raised:
        get(others)
    assert (raised.value.status, raised.value.code, raised.value.errors) == (404, "not_found", {"id": ["odd"]})


def test_a_rejected_token_ends_the_session(others: Fakes) -> None:
    others["orders"].answers["GET /api/v1/orders"] = (401, {"code": "token_expired"})
    with pytest.raises(SignedOutError):
        get(others)


@pytest.mark.parametrize(
    "answer", [(503, {"detail": "temporarily unavailable"}), (200, b"<html>"), (200, b"[1]"), (200, b""), (302, b"")]
)
def test_an_invalid_reply_is_an_outage(others: Fakes, answer: tuple[int, Any]) -> None:
    others["orders"].answers["GET /api/v1/orders"] = answer
    with pytest.raises(ContextDownError, match="orders"):
        get(others)


def test_a_context_that_hangs_or_is_down_is_an_outage(others: Fakes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contexts, "READ_SECONDS", 0.2)
    with pytest.raises(ContextDownError, match="no reply in time"):
        get(others)
    with pytest.raises(ContextDownError, match="no connection"):
        Contexts({"service-orders": "http://127.0.0.1:1/metrics"}).get("orders", "/orders", "t")
    with pytest.raises(ContextDownError, match="does not name"):
        Contexts({}).get("orders", "/orders", "t")


def test_an_endless_response_is_truncated(others: Fakes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contexts, "MAX_BYTES", 100)
    others["orders"].answers["GET /api/v1/orders"] = (200, {"a": "x" * 1000})
    with pytest.raises(ContextDownError):
        get(others)


def test_a_failing_read_does_not_affect_the_others(others: Fakes) -> None:
    others["orders"].answers["GET /api/v1/orders"] = (503, {})
    api = Contexts(others.metrics_urls)
    found = api.read_all(one=lambda: 1, two=lambda: api.get("orders", "/orders", "t"))
    assert found["one"] == 1
    assert isinstance(found["two"], ContextDownError)


def test_readiness_names_the_failing_checks(others: Fakes) -> None:
    api = Contexts({**others.metrics_urls, "service-users": "http://127.0.0.1:1/metrics"})
    others["orders"].answers["GET /readyz"] = (200, {"status": "ok"})
    assert failing_services(api.read_all(**api.ready_checks())) == {"service-orders": []}
    others["orders"].answers["GET /readyz"] = (503, {"errors": {"postgres": ["does not answer"]}})
    assert failing_services(api.read_all(**api.ready_checks())) == {"service-orders": ["postgres"]}
