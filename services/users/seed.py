"""`python -m services.users.seed`: the accounts `operator` and `customer` of a local stack.

Idempotent: it creates missing accounts and sets changed passwords.
"""

from __future__ import annotations

from dataclasses import dataclass

from marshmallow import validate

from common.messaging.events import MessageContext, new_id
from common.observability import logs
from common.settings import DatabaseSettings, ProcessSettings, load, setting
from common.storage.postgresql import make_engine
from services.users.domain import MAX_PASSWORD_LENGTH, MIN_PASSWORD_LENGTH, Role
from services.users.passwords import Passwords
from services.users.usecases import RegisterUser, ensure_account

_PASSWORD = validate.Length(min=MIN_PASSWORD_LENGTH, max=MAX_PASSWORD_LENGTH)
_log = logs.logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Settings(ProcessSettings, DatabaseSettings):
    operator_password: str = setting(
        "SEED_OPERATOR_PASSWORD", check=_PASSWORD, meaning="Password of the account `operator`, 15 to 128 characters."
    )
    customer_password: str = setting(
        "SEED_CUSTOMER_PASSWORD", check=_PASSWORD, meaning="Password of the account `customer`, 15 to 128 characters."
    )


def seed(settings: Settings) -> None:
    engine = make_engine(
        settings.database_url, pool_size=1, timeout_seconds=settings.database_timeout_seconds, name="seed-users"
    )
    passwords, message_context = Passwords(), MessageContext(correlation_id=new_id())
    accounts = ((Role.OPERATOR, settings.operator_password), (Role.CUSTOMER, settings.customer_password))
    try:
        for role, password in accounts:
            command = RegisterUser(username=role, email=f"{role}@example.com", password=password, role=role)
            changed = ensure_account(engine, passwords, command, message_context=message_context)
            _log.info("account seeded", username=role, changed=changed)
    finally:
        engine.dispose()


def main() -> None:
    settings = load(Settings)
    logs.configure_logging("seed-users", settings.log_level)
    seed(settings)


if __name__ == "__main__":
    main()
