"""The mail catcher's settings: its SMTP and HTTP addresses."""

from dataclasses import dataclass

from common.setting_checks import PORT
from common.settings import ListenSettings, LogSettings, setting


@dataclass(frozen=True, kw_only=True)
class Settings(LogSettings, ListenSettings):
    """The settings of the mail catcher."""

    smtp_port: int = setting("SMTP_PORT", "int", check=PORT, meaning="SMTP port of the mail catcher.")
