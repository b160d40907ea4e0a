"""Prometheus: what it scrapes, what it computes, and when it calls somebody. `python -m infrastructure.prometheus`."""
