"""Delivers events from a transaction in one context to their effect in another.

Guarantee: a committed event is published at least once, in order per subject; its effect happens once per consumer; an
event that cannot be handled is retried, parked or dead-lettered, and is acknowledged only after that.
Not promised: order between subjects, or exactly-once delivery (the inbox drops duplicates).
"""
