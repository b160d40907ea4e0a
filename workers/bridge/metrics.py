"""The bridge's metrics."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

PUBLISHED = Counter("holdfast_bridge_events_published", "Events that Kafka has confirmed")
GAPS = Counter("holdfast_bridge_gaps", "Events published without their predecessor, which was not archived in time")
UNCONFIRMED = Gauge("holdfast_bridge_unconfirmed", "Events sent to Kafka and not confirmed yet")
HELD = Gauge("holdfast_bridge_held", "Events that wait for their predecessor")
POSITION = Gauge("holdfast_bridge_position", "Position in the archive up to which Kafka has every event")
LAG = Gauge("holdfast_bridge_lag_seconds", "Time since Kafka last had every archived event; 0 while it has")
