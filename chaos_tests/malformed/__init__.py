"""Thousands of malformed messages, while orders are placed."""
