"""The resources of the routes of notifications."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from common.storage.mongodb import Store
    from services.notifications.usecases import Rules


@dataclass(frozen=True, slots=True)
class Resources:
    store: Store
    rules: Rules
