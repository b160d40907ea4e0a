"""Each own metric of an alert has a test that causes the fault and checks the metric."""

from __future__ import annotations

import ast

import pytest

from infrastructure.prometheus.tests.exposed import OTHERS, RABBITMQ, ROOT, used
from infrastructure.prometheus.tests.test_rules import ALERTS, ENTRIES

MESSAGING, ORDERS = "common/messaging/tests", "services/orders/tests"
# Metric -> the test, by its file and name.
TESTS = {
    "holdfast_audit_broken_promises": "services/operations/tests/test_metrics.py::test_the_last_audit_is_shown",
    "holdfast_audit_last_timestamp_seconds": "services/operations/tests/test_metrics.py::test_the_last_audit_is_shown",
    "holdfast_breaker_state": "services/archive/tests/test_api.py::test_an_open_circuit_breaker_skips_queries",
    "holdfast_bridge_lag_seconds": "workers/bridge/tests/test_main.py::test_events_wait_while_kafka_is_down",
    "holdfast_database_pool_in_use": "common/storage/tests/test_postgresql.py::test_the_use_of_the_pool_is_shown",
    "holdfast_database_pool_size": "common/storage/tests/test_postgresql.py::test_the_use_of_the_pool_is_shown",
    "holdfast_dead_letters_waiting": (
        "services/operations/tests/test_metrics.py::test_waiting_dead_letters_are_counted_by_queue"
    ),
    "holdfast_event_age_seconds_bucket": (
        f"{MESSAGING}/test_consumer_metrics.py::test_the_age_of_an_event_is_its_time_in_outbox_and_queue"
    ),
    "holdfast_event_failures_total": (
        f"{MESSAGING}/test_consumer_metrics.py::test_failures_are_counted_by_outcome_and_class"
    ),
    "holdfast_events_handled_total": (
        f"{MESSAGING}/test_consumer_metrics.py::test_every_delivery_is_counted_by_its_outcome"
    ),
    "holdfast_held_up": (
        "workers/scheduler/tests/test_main.py::test_the_saga_clock_stops_during_an_outage_and_resumes"
    ),
    "holdfast_live_archive_up": ("services/live/tests/test_resuming.py::test_a_stream_resumes_after_an_archive_outage"),
    "holdfast_order_confirmation_seconds_bucket": (
        f"{ORDERS}/test_metrics.py::test_a_confirmation_is_counted_once_with_its_duration"
    ),
    "holdfast_orders_accepted_total": (f"{ORDERS}/test_metrics.py::test_an_accepted_order_is_counted_once"),
    "holdfast_orders_cancelled_total": (
        f"{ORDERS}/test_metrics.py::test_each_cancellation_is_counted_once_with_its_reason"
    ),
    "holdfast_orders_confirmed_total": (
        f"{ORDERS}/test_metrics.py::test_a_confirmation_is_counted_once_with_its_duration"
    ),
    "holdfast_outbox_oldest_seconds": (
        f"{MESSAGING}/test_relay_backlog.py::"
        "test_no_event_overtakes_another_of_its_subject_and_the_lag_is_true_at_every_moment"
    ),
    "holdfast_outbox_set_aside_rows": (
        f"{MESSAGING}/test_relay_unroutable.py::test_unroutable_events_are_set_aside_and_the_rest_continues"
    ),
    "holdfast_relay_active": f"{MESSAGING}/test_relay.py::test_a_database_that_is_down_is_waited_for",
    "holdfast_shed_total": f"{ORDERS}/test_shedding.py::test_the_client_gets_retry_after",
    "holdfast_standing_cases": (
        "services/payments/tests/test_metrics.py::test_a_case_is_counted_until_an_operator_has_decided"
    ),
    "holdfast_sweep_interval_seconds": "common/resilience/tests/test_sweeps.py::test_how_often_it_is_to_run_is_shown",
    "holdfast_sweep_last_success_timestamp_seconds": (
        "common/resilience/tests/test_sweeps.py::test_a_run_that_is_held_up_is_no_success_and_no_reconciliation"
    ),
    "holdfast_undecided_oldest_seconds": (
        f"{MESSAGING}/test_failures.py::test_an_item_that_alone_reports_an_outage_cannot_keep_the_worker_paused"
    ),
    "holdfast_webhook_endpoints_disabled_total": (
        "services/notifications/tests/test_metrics.py::test_a_disabled_endpoint_is_counted_with_its_reason"
    ),
    "holdfast_webhook_turn_overdue_seconds": (
        "workers/notifications/tests/test_sending.py::test_overdue_deliveries_are_measured"
    ),
    "holdfast_worker_subscribed": f"{MESSAGING}/test_consumer_pause.py::test_it_is_shown_while_it_lasts",
    "http_request_duration_seconds_bucket": (
        "common/web/tests/test_health.py::test_what_fails_and_what_is_slow_is_counted_as_that"
    ),
    "http_requests_refused_total": (
        "common/web/tests/test_admission.py::test_what_does_not_fit_the_queue_is_refused_at_once"
    ),
    "http_requests_total": "common/web/tests/test_health.py::test_what_fails_and_what_is_slow_is_counted_as_that",
}
RECORDED = {rule["record"]: rule["expr"] for rule in ENTRIES if "record" in rule}


def read_by(expression: str) -> set[str]:
    """The metrics of an expression, with recorded ones resolved."""
    found = used(expression)
    return set().union(*(read_by(RECORDED[name]) if name in RECORDED else {name} for name in found))


def test_every_metric_of_an_alert_has_a_test() -> None:
    read = set().union(*(read_by(rule["expr"]) for rule in ALERTS.values()))
    assert read - RABBITMQ - OTHERS == set(TESTS)


@pytest.mark.parametrize("test", sorted(set(TESTS.values())))
def test_each_named_test_exists(test: str) -> None:
    file, _, name = test.partition("::")
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
