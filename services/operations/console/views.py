"""All pages of the console: importing this module adds them to the blueprint."""

from __future__ import annotations

from services.operations.console import now, sign_in
from services.operations.console.blueprint import register

__all__ = ["now", "register", "sign_in"]
