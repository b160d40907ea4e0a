"""Measures accepted and confirmed orders per second, and response times."""
