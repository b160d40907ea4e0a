"""Alembic's entry: the connection comes from `common.storage.migrations`."""

from common.storage.migrations import run

run()
