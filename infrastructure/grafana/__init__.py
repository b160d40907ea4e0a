"""Grafana: dashboards written in Python and stored as JSON; they are provisioned, so a new Grafana has them."""
