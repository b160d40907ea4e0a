"""Prometheus: scrape configuration, recording rules and alerts. `python -m infrastructure.prometheus`."""
