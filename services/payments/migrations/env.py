"""Alembic's entry: the connection comes from `common.migrations`."""

from common.migrations import run

run()
