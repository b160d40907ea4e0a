"""The mail catcher's settings: where it takes mails, and where it shows them."""

from dataclasses import dataclass

from common.setting_checks import PORT
from common.settings import ListenSettings, LogSettings, setting


@dataclass(frozen=True, kw_only=True)
class Settings(LogSettings, ListenSettings):
    """What the mail catcher reads."""

    smtp_port: int = setting("SMTP_PORT", "int", check=PORT, meaning="Port at which the mail catcher takes mails.")
