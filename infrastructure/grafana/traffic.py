"""HTTP requests, responses and durations."""

from infrastructure.grafana.panels import Query, Row, graph

CLIENT_ROUTES = 'route!~"/livez|/readyz|/metrics"'

ROWS = (
    Row(
        "Services",
        (
            graph("Requests", "reqps", Query("holdfast:http_requests:rate5m", "{{job}}"), stacked=True),
            graph("5xx ratio", "percentunit", Query("holdfast:http_errors:ratio5m", "{{job}}")),
            graph("Duration (p95)", "s", Query("holdfast:http_request_duration_seconds:p95_5m", "{{job}}")),
        ),
    ),
    Row(
        "Routes",
        (
            graph(
                "Requests",
                "reqps",
                Query(
                    f"sum by (method, route) (rate(http_requests_total{{{CLIENT_ROUTES}}}[5m]))", "{{method}} {{route}}"
                ),
                width=12,
            ),
            graph(
                "Duration (p95)",
                "s",
                Query(
                    "histogram_quantile(0.95, sum by (method, route, le)"
                    f" (rate(http_request_duration_seconds_bucket{{{CLIENT_ROUTES}}}[5m])))",
                    "{{method}} {{route}}",
                ),
                width=12,
            ),
            graph(
                "4xx and 5xx",
                "reqps",
                Query(
                    f'sum by (route, status) (rate(http_requests_total{{{CLIENT_ROUTES}, status=~"[45]xx"}}[5m]))',
                    "{{route}} {{status}}",
                ),
                width=12,
            ),
            graph(
                "Rejected on arrival, and rate limited",
                "reqps",
                Query("sum by (job, reason) (rate(http_requests_refused_total[5m]))", "{{job}} {{reason}}"),
                Query(
                    "sum by (job, policy) (rate(http_requests_rate_limited_total[5m]))", "{{job}} limit of {{policy}}"
                ),
                width=12,
            ),
        ),
    ),
    Row(
        "Saturation",
        (
            graph("Requests in progress", "short", Query("sum by (job) (http_requests_admitted)", "{{job}}")),
            graph(
                "Database connections in use",
                "percentunit",
                Query("max by (pool) (holdfast_database_pool_in_use / holdfast_database_pool_size)", "{{pool}}"),
            ),
            graph(
                "Breakers (2 is open)",
                "short",
                Query("max by (job, breaker) (holdfast_breaker_state)", "{{job}} {{breaker}}"),
            ),
        ),
    ),
    Row(
        "Webhooks",
        (
            graph(
                "Attempts by outcome",
                "eps",
                Query("sum by (outcome) (rate(holdfast_webhook_attempts_total[5m]))", "{{outcome}}"),
                stacked=True,
            ),
            graph(
                "Time of an attempt (p95)",
                "s",
                Query(
                    "histogram_quantile(0.95, sum by (le) (rate(holdfast_webhook_attempt_seconds_bucket[5m])))", "p95"
                ),
            ),
            graph("Overdue for", "s", Query("min(holdfast_webhook_turn_overdue_seconds)", "seconds")),
            graph(
                "Deliveries recorded", "eps", Query("sum(rate(holdfast_webhook_deliveries_recorded_total[5m]))", "all")
            ),
        ),
    ),
    Row(
        "E-mail",
        (
            graph(
                "Mails by outcome",
                "eps",
                Query("sum by (kind, outcome) (rate(holdfast_mails_total[5m]))", "{{kind}} {{outcome}}"),
                stacked=True,
            ),
        ),
    ),
)
