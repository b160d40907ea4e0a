"""The checker: reads a history and the system afterwards, and says for each promise whether it held.

`collect` asks the system over HTTP and writes a snapshot; `check` is a pure function of history and snapshot.
"""
