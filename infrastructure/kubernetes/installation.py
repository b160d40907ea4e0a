"""One installation's accounts and passwords, and the resulting secret variables of each process."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING

from infrastructure.database_roles import ALL_ROLES, role_of_process
from infrastructure.docker.secret_file import fernet_key, password, signing_key
from infrastructure.document_roles import DOCUMENT_ACCOUNTS, database_of
from infrastructure.privileges import BROKER_ACCOUNTS, MONITOR, broker_account, management_account
from infrastructure.processes import RELATIONAL_CONTEXTS, Process
from infrastructure.provision.rabbitmq import definitions

if TYPE_CHECKING:
    from collections.abc import Callable

    from infrastructure.kubernetes.servers import Servers


class Installation:
    """One installation's passwords, each generated at first use, and the values derived from them."""

    def __init__(self, servers: Servers, stripe_key: str, smtp_url: str) -> None:
        self._servers, self._stripe_key, self._smtp_url = servers, stripe_key, smtp_url
        self.password_of: Callable[[str], str] = cache(lambda _account: password())
        self._signing_key = cache(signing_key)
        self._webhook_key = cache(fernet_key)
        self._contact_token = cache(password)

    def of_process(self, line: Process) -> dict[str, str]:
        """The secret variables of a process; the others are in its Deployment."""
        makers = self._makers(line)
        return {name: makers[name]() for name in line.environment if name in makers}

    def _makers(self, line: Process) -> dict[str, Callable[[], str]]:
        servers = self._servers
        return {
            "DATABASE_URL": lambda: self._database(line, line.context),
            "DATABASE_URLS": lambda: self._databases(line),
            "OUTBOX_DATABASE_URLS": lambda: self._databases(line),
            "MONGODB_URL": lambda: self._documents(line.context),
            "RABBITMQ_URL": lambda: self._broker(servers.rabbitmq, broker_account(line)),
            "RABBITMQ_MANAGEMENT_URL": lambda: self._broker(servers.management, management_account(line)),
            "TOKEN_SIGNING_KEY": self._signing_key,
            "WEBHOOK_SECRET_KEYS": self._webhook_key,
            "CONTACT_TOKENS": self._contact_token,
            "SMTP_URL": lambda: self._smtp_url,
            "STRIPE_API_KEY": lambda: self._stripe_key,
            "FLOWER_BASIC_AUTH": lambda: f"flower:{self.password_of('flower page')}",
            "SEED_OPERATOR_PASSWORD": lambda: self.password_of("operator"),
            "SEED_CUSTOMER_PASSWORD": lambda: self.password_of("customer"),
        }

    def autoscaling(self) -> dict[str, str]:
        """KEDA's URL of the broker, ending with the virtual host."""
        return {"RABBITMQ_MANAGEMENT_URL": f"{self._broker(self._servers.management, MONITOR)}/"}

    def relational(self) -> dict[str, str]:
        return {role: self.password_of(f"postgres {role}") for role in ALL_ROLES}

    def documents(self) -> dict[str, str]:
        return {account: self.password_of(f"mongodb {account}") for account in DOCUMENT_ACCOUNTS}

    def brokers(self) -> dict[str, str]:
        return {account.name: self.password_of(f"rabbitmq {account.name}") for account in BROKER_ACCOUNTS}

    def definitions(self) -> str:
        """The broker's definitions, loaded at its start; they include the virtual host, which it then does not
        create.
        """
        return json.dumps({"vhosts": [{"name": "/"}], **definitions(self.brokers())})

    def _documents(self, account: str) -> str:
        return self._servers.mongodb(account, self.password_of(f"mongodb {account}"), database_of(account))

    def _database(self, line: Process, context: str) -> str:
        role = role_of_process(line, context)
        return self._servers.postgres(role, self.password_of(f"postgres {role}"), context)

    def _databases(self, line: Process) -> str:
        return json.dumps({context: self._database(line, context) for context in RELATIONAL_CONTEXTS})

    def _broker(self, address: Callable[[str, str], str], account: str) -> str:
        return address(account, self.password_of(f"rabbitmq {account}"))
