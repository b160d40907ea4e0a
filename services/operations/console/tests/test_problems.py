"""Failing webhook endpoints on the page Now."""

from __future__ import annotations

from typing import Any

from services.operations.console.problems import awaited, counted, failing_webhooks


def endpoint(number: int, **changes: Any) -> dict[str, Any]:
    known = {"id": f"e{number}", "url": f"https://{number}.example/", "enabled": True, "disabled_reason": None}
    return known | {"consecutive_failures": 5} | changes


def test_the_first_failing_endpoints_are_linked_and_the_others_counted() -> None:
    found = list(failing_webhooks([endpoint(number) for number in range(5)]))
    assert [problem.values for problem in found[:3]] == [{"endpoint_id": f"e{number}"} for number in range(3)]
    assert found[0].text == "Webhook https://0.example/ failed 5 times in a row"
    assert (found[3].text, found[3].values) == ("2 other webhook endpoints fail", {"health": "failing"})
    assert len(list(failing_webhooks([endpoint(number) for number in range(3)]))) == 3


def test_one_failure_is_not_a_problem_and_a_disabled_endpoint_has_its_reason() -> None:
    assert list(failing_webhooks([endpoint(1, consecutive_failures=1)])) == []
    gone = endpoint(1, enabled=False, disabled_reason="gone", consecutive_failures=1, description="the shop")
    [problem] = failing_webhooks([gone])
    because = "it answered 410 Gone"
    assert problem.text == f"Webhook the shop (https://1.example/) is disabled: {because}"


def test_a_process_waits_for_dependencies_with_open_breakers() -> None:
    open_ = [{"process": "a", "breaker": "payment_provider", "state": "open"}]
    assert awaited("a", {"breakers": open_}) == "the payment provider"
    assert awaited("b", {"breakers": open_}) == "what it depends on"
    assert (counted(1, "event"), counted(2000, "event")) == ("1 event", "2,000 events")
