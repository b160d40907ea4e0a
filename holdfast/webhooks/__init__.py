"""Receives webhooks on this machine."""
