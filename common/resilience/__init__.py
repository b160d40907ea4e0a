"""Failing parts and unfinished work: circuit breakers, sweeps, saga health, crash points for tests.

Guarantee: a dependency that fails in a row is left alone until a probe succeeds; a sweep has one holder at a time and
goes on after outages; time that an outage takes does not count against an order.
Not promised: that a sweep runs at an exact time.
"""
