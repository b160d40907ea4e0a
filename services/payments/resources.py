"""The resources of a payments process, service or worker: its database and its provider."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.settings import DatabaseSettings
from common.storage.postgresql import make_engine
from services.payments.provider import Provider, ProviderSettings, make_provider

if TYPE_CHECKING:
    from sqlalchemy import Engine


@dataclass(frozen=True, kw_only=True)
class ResourceSettings(DatabaseSettings, ProviderSettings):
    """The settings of both processes."""


@dataclass(frozen=True, slots=True)
class Resources:
    engine: Engine
    provider: Provider


def open_resources(settings: ResourceSettings, *, name: str, pool_size: int) -> Resources:
    """For a process called `name`, with at most `pool_size` connections to its database."""
    engine = make_engine(
        settings.database_url, pool_size=pool_size, timeout_seconds=settings.database_timeout_seconds, name=name
    )
    return Resources(engine, make_provider(settings))
