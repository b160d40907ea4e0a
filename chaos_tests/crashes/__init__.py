"""Crash points: the process that reaches a named place is killed there, and nothing must come of it."""
