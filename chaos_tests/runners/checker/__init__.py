"""The checker: reads a history and the system afterwards, and gives a verdict for each promise.

`collect` reads the system over HTTP and writes a snapshot; `check` is a pure function of history and snapshot.
"""
