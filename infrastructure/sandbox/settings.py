"""The sandbox's settings: where to listen, how much to log, where to keep the ledger."""

from dataclasses import dataclass

from common.settings import ListenSettings, LogSettings, setting


@dataclass(frozen=True, kw_only=True)
class Settings(LogSettings, ListenSettings):
    """The settings of the sandbox."""

    sandbox_data: str = setting("SANDBOX_DATA", meaning="Directory of the sandbox's ledger.")
