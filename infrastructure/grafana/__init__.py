"""Grafana: dashboards, written in Python and kept as JSON; provisioned, so a new Grafana has them when it starts."""
