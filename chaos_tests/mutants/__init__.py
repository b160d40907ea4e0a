"""Holdfast without one of its guarantees: a test must detect each mutant."""
