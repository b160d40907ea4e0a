"""The live service's own metrics."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

STREAMS = Gauge("holdfast_live_streams", "Open streams")
POSITION = Gauge("holdfast_live_position", "Position in the archive up to which open streams have their events")
UP = Gauge("holdfast_live_archive_up", "1 while the archive answers the live service")
REFUSED = Counter("holdfast_live_streams_refused", "Streams rejected because of a limit", ["limit"])
ENDED = Counter("holdfast_live_streams_ended", "Streams ended by the service", ["reason"])
