"""Crash points: a process is killed at a named place, and no promise may be broken."""
