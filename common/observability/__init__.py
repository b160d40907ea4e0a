"""Logs, metrics and traces.

Guarantee: one JSON object per log line, joined by `correlation_id` from the HTTP request to the last handler; one trace
per order when a collector is configured. Telemetry never blocks or fails the work that it describes.
Not promised: that a span reaches the collector while it is down.
"""
