"""Event streams to clients, and events to Kafka."""

from infrastructure.grafana.panels import Query, Row, graph

ROWS = (
    Row(
        "Live streams",
        (
            graph("Open streams", "short", Query("sum by (instance) (holdfast_live_streams)", "{{instance}}")),
            graph(
                "Refused because of a limit",
                "eps",
                Query("sum by (limit) (rate(holdfast_live_streams_refused_total[5m]))", "{{limit}}"),
            ),
            graph(
                "Ended by the service",
                "eps",
                Query("sum by (reason) (rate(holdfast_live_streams_ended_total[5m]))", "{{reason}}"),
                says="token_expired and restart are normal; slow_client: too many events waited for a client.",
            ),
            graph(
                "Archive events read",
                "eps",
                Query("max by (instance) (rate(holdfast_live_position[5m]))", "{{instance}}"),
                says="The rate at which the position in the archive advances, also without an open stream.",
            ),
            graph(
                "Archive reachable (1: yes)",
                "short",
                Query("min by (instance) (holdfast_live_archive_up)", "{{instance}}"),
            ),
        ),
    ),
    Row(
        "Kafka bridge",
        (
            graph(
                "Lag behind the archive",
                "s",
                Query("max(holdfast_bridge_lag_seconds)", "seconds"),
                says="Time since every archived event was in Kafka.",
            ),
            graph(
                "Events confirmed by Kafka",
                "eps",
                Query("sum(rate(holdfast_bridge_events_published_total[5m]))", "all"),
            ),
            graph(
                "Waiting",
                "short",
                Query("max(holdfast_bridge_unconfirmed)", "for Kafka"),
                Query("max(holdfast_bridge_held)", "for a predecessor"),
            ),
            graph(
                "Published without predecessor",
                "short",
                Query("sum(increase(holdfast_bridge_gaps_total[1h]))", "in an hour"),
            ),
            graph("Position", "short", Query("max(holdfast_bridge_position)", "confirmed by Kafka")),
        ),
    ),
)
