"""Orders, and the promises."""

from infrastructure.grafana.panels import Query, Row, graph, stat

ROWS = (
    Row(
        "Now",
        (
            stat("Orders accepted", "reqps", "holdfast:orders_accepted:rate5m"),
            stat("Orders confirmed", "reqps", "holdfast:orders_confirmed:rate5m"),
            stat("Confirmed within (p95)", "s", "holdfast:order_confirmation_seconds:p95_5m", red=30),
            stat(
                "Broken promises",
                "short",
                "sum(max by (promise) (holdfast_audit_broken_promises))",
                red=1,
                says="The findings of the last audit, reported by holdfast audit.",
            ),
            stat("Time since last audit", "s", "time() - max(holdfast_audit_last_timestamp_seconds)", red=93_600),
            stat(
                "Dead letters waiting",
                "short",
                "sum(max by (queue) (holdfast_dead_letters_waiting)) or vector(0)",
                red=1,
            ),
        ),
    ),
    Row(
        "Orders",
        (
            graph(
                "Accepted, confirmed, cancelled",
                "reqps",
                Query("holdfast:orders_accepted:rate5m", "accepted"),
                Query("holdfast:orders_confirmed:rate5m", "confirmed"),
                Query("sum(holdfast:orders_cancelled:rate5m)", "cancelled"),
                says="Accepted is the input; the other two together are the output.",
            ),
            graph(
                "Cancelled by reason", "reqps", Query("holdfast:orders_cancelled:rate5m", "{{reason}}"), stacked=True
            ),
            graph(
                "From accepted to confirmed",
                "s",
                Query("holdfast:order_confirmation_seconds:p50_5m", "half of them within"),
                Query("holdfast:order_confirmation_seconds:p95_5m", "19 in 20 within"),
            ),
        ),
    ),
    Row(
        "Causes of delays",
        (
            graph("Oldest event not published", "s", Query("holdfast:outbox_oldest_seconds:max", "{{database}}")),
            graph("Messages waiting", "short", Query("holdfast:queue_messages:max", "{{consumer}}")),
            graph(
                "Held up, breakers open, workers waiting",
                "short",
                Query("max(holdfast_held_up)", "held up"),
                Query("count(holdfast_breaker_state == 2) or vector(0)", "breakers open"),
                Query("count(holdfast_worker_subscribed == 0) or vector(0)", "workers waiting"),
            ),
            graph(
                "New orders refused", "reqps", Query("sum by (backlog) (rate(holdfast_shed_total[5m]))", "{{backlog}}")
            ),
            graph(
                "Promises broken, as audited",
                "short",
                Query("max by (promise) (holdfast_audit_broken_promises)", "{{promise}}"),
                stacked=True,
            ),
            graph(
                "Alerts firing", "short", Query('count by (alertname) (ALERTS{alertstate="firing"})', "{{alertname}}")
            ),
        ),
    ),
)
