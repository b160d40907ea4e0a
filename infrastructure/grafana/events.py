"""The path of events: outbox, relay, queues, handling, sweeps."""

from infrastructure.grafana.panels import Query, Row, graph

ROWS = (
    Row(
        "Outbox and relay",
        (
            graph(
                "Rows waiting",
                "short",
                Query("holdfast:outbox_rows:max", "{{database}}"),
                says="Counted up to 100 000.",
            ),
            graph("Oldest row", "s", Query("holdfast:outbox_oldest_seconds:max", "{{database}}")),
            graph("Set aside, unroutable", "short", Query("holdfast:outbox_set_aside_rows:max", "{{database}}")),
            graph("Published", "eps", Query("holdfast:relay_published:rate5m", "{{database}}"), stacked=True),
            graph("Active relay", "short", Query("sum by (database) (holdfast_relay_active)", "{{database}}")),
        ),
    ),
    Row(
        "Queues",
        (
            graph(
                "Messages",
                "short",
                Query('max by (queue) (rabbitmq_detailed_queue_messages{queue=~".+[.]events"})', "{{queue}}"),
            ),
            graph(
                "Delay queues and dead letters",
                "short",
                Query('max by (queue) (rabbitmq_detailed_queue_messages{queue!~".+[.]events"})', "{{queue}}"),
            ),
            graph(
                "Consumers",
                "short",
                Query('max by (queue) (rabbitmq_detailed_queue_consumers{queue=~".+[.]events"})', "{{queue}}"),
            ),
            graph(
                "Age of events at their consumer (p95)",
                "s",
                Query("holdfast:event_age_seconds:p95_5m", "{{consumer}}"),
                says="Time in outbox and queue, measured by consumers: RabbitMQ does not report it for quorum queues.",
            ),
        ),
    ),
    Row(
        "Handling",
        (
            graph("Handled", "eps", Query("sum by (consumer) (holdfast:events_handled:rate5m)", "{{consumer}}")),
            graph(
                "Outcomes other than done",
                "eps",
                Query('holdfast:events_handled:rate5m{outcome!="done"}', "{{consumer}} {{outcome}}"),
            ),
            graph(
                "Failures by class",
                "eps",
                Query(
                    "sum by (consumer, outcome, error) (rate(holdfast_event_failures_total[5m]))",
                    "{{consumer}} {{outcome}} {{error}}",
                ),
            ),
            graph(
                "Time of a handler (p95)",
                "s",
                Query(
                    "histogram_quantile(0.95, sum by (consumer, le)"
                    " (rate(holdfast_event_handling_seconds_bucket[5m])))",
                    "{{consumer}}",
                ),
            ),
            graph(
                "Dead letters filed",
                "eps",
                Query("sum by (queue, reason) (rate(holdfast_dead_letters_filed_total[5m]))", "{{queue}} {{reason}}"),
            ),
            graph(
                "Dead letters waiting", "short", Query("max by (queue) (holdfast_dead_letters_waiting)", "{{queue}}")
            ),
        ),
    ),
    Row(
        "Sweeps",
        (
            graph(
                "Time since the last success",
                "s",
                Query(
                    "time() - max by (context, sweep) (holdfast_sweep_last_success_timestamp_seconds)",
                    "{{context}} {{sweep}}",
                ),
            ),
            graph(
                "Items found",
                "eps",
                Query("sum by (context, sweep) (rate(holdfast_sweep_found_total[5m]))", "{{context}} {{sweep}}"),
            ),
            graph(
                "Failures",
                "eps",
                Query(
                    "sum by (context, sweep, failure) (rate(holdfast_sweep_failures_total[5m]))",
                    "{{context}} {{sweep}}",
                ),
            ),
        ),
    ),
)
