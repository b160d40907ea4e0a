"""Receiving webhooks on this machine."""
