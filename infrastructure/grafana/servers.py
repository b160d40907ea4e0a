"""The processes and the broker."""

from infrastructure.grafana.panels import Query, Row, graph

OWN = 'job=~"(service|worker)-.+|relay.*|scheduler"'

ROWS = (
    Row(
        "Processes",
        (
            graph("Answering", "short", Query("sum by (job) (up)", "{{job}}"), stacked=True),
            graph(
                "Processors in use",
                "short",
                Query(f"sum by (job) (rate(process_cpu_seconds_total{{{OWN}}}[5m]))", "{{job}}"),
                stacked=True,
            ),
            graph(
                "Memory",
                "bytes",
                Query(f"sum by (job) (process_resident_memory_bytes{{{OWN}}})", "{{job}}"),
                stacked=True,
            ),
            graph("Open files", "short", Query(f"max by (job) (process_open_fds{{{OWN}}})", "{{job}}")),
            graph("Uptime", "s", Query(f"time() - max by (job) (process_start_time_seconds{{{OWN}}})", "{{job}}")),
            graph("Scrape duration", "s", Query("max by (job) (scrape_duration_seconds)", "{{job}}")),
        ),
    ),
    Row(
        "RabbitMQ",
        (
            graph(
                "Messages",
                "eps",
                Query("sum(rate(rabbitmq_global_messages_received_total[5m]))", "received"),
                Query("sum(rate(rabbitmq_global_messages_confirmed_total[5m]))", "confirmed"),
                Query("sum(rate(rabbitmq_global_messages_delivered_total[5m]))", "delivered"),
                Query("sum(rate(rabbitmq_global_messages_acknowledged_total[5m]))", "acknowledged"),
                Query("sum(rate(rabbitmq_global_messages_redelivered_total[5m]))", "delivered again"),
            ),
            graph(
                "Memory",
                "bytes",
                Query("max by (instance) (rabbitmq_process_resident_memory_bytes)", "{{instance}}"),
                Query("max(rabbitmq_resident_memory_limit_bytes)", "blocks publishers"),
            ),
            graph(
                "Disk free",
                "bytes",
                Query("min by (instance) (rabbitmq_disk_space_available_bytes)", "{{instance}}"),
                Query("max(rabbitmq_disk_space_available_limit_bytes)", "blocks publishers"),
            ),
            graph("Connections", "short", Query("sum(rabbitmq_connections)", "connections")),
            graph(
                "Alarms",
                "short",
                Query("max(rabbitmq_alarms_memory_used_watermark)", "memory"),
                Query("max(rabbitmq_alarms_free_disk_space_watermark)", "disk"),
            ),
            graph(
                "Tasks in Flower",
                "eps",
                Query("sum by (type) (rate(flower_events_total[5m]))", "{{type}}"),
            ),
        ),
    ),
)
