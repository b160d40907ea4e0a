"""What users reads from the environment; `.env.example` shows it."""

from __future__ import annotations

from dataclasses import dataclass

from common.settings import DatabaseSettings, HttpSettings, setting
from services.users.signing import check_key


@dataclass(frozen=True, kw_only=True)
class Settings(HttpSettings, DatabaseSettings):
    """`token_signing_key` is the base64 of an Ed25519 PKCS8 PEM."""

    token_signing_key: str = setting("TOKEN_SIGNING_KEY", check=check_key)
