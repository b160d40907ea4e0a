"""The dashboards. A module for each has its rows: title, unit and PromQL query of every panel.

The table BOARDS is at the end. `python -m infrastructure.grafana` writes them to `dashboards/`.
"""

from __future__ import annotations

from typing import Any

from infrastructure.grafana import events, overview, servers, streams, traffic
from infrastructure.grafana.panels import Row, dashboard


def documents() -> dict[str, dict[str, Any]]:
    """Return each dashboard's JSON model by the name of its file."""
    return {f"{uid}.json": dashboard(uid, title, says, rows) for uid, title, says, rows in BOARDS}


BOARDS: tuple[tuple[str, str, str, tuple[Row, ...]], ...] = (
    ("holdfast-overview", "Holdfast: overview", "Orders, and the promises", overview.ROWS),
    ("holdfast-events", "Holdfast: events", "From the outbox to the consumers, and failures", events.ROWS),
    ("holdfast-http", "Holdfast: HTTP", "Requests, responses and durations", traffic.ROWS),
    ("holdfast-streams", "Holdfast: streams", "Live streams to clients, and events to Kafka", streams.ROWS),
    ("holdfast-servers", "Holdfast: servers", "Processes and the broker", servers.ROWS),
)
