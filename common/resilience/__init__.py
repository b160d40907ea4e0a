"""Handles failing dependencies and unfinished work: circuit breakers, sweeps, saga health, crash points for tests.

Guarantee: a dependency that fails repeatedly is not called until a probe succeeds; a sweep has one holder at a time and
resumes after outages; the duration of an outage does not count against an order's time-out.
Not promised: that a sweep runs at an exact time.
"""
