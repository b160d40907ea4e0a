"""The addresses of a stack's parts, with credentials."""

import json

from infrastructure.database_roles import OWNER, role_name, role_of_process
from infrastructure.document_roles import database_of
from infrastructure.local.credentials import Credentials
from infrastructure.local.home import Home
from infrastructure.local.nodes import Node
from infrastructure.privileges import MONITOR
from infrastructure.processes import MAIL_CATCHER_SMTP_PORT_OFFSET, PROCESSES, RELATIONAL_CONTEXTS, Process
from infrastructure.provision.mongodb import ADMINISTRATOR as MONGODB_ADMINISTRATOR
from infrastructure.provision.mongodb import REPLICA_SET

HOST = "127.0.0.1"
POSTGRES_ADMINISTRATOR = "postgres"
FLOWER_USER = "flower"
# Services serve /metrics on the same port as their probe.
_WITH_METRICS = ("/metrics", "/readyz")


class Urls:
    """Every address of one stack."""

    def __init__(self, home: Home, credentials: Credentials) -> None:
        self._home = home
        self._credentials = credentials

    def http(self, name: str) -> str:
        """Return the base URL of an HTTP process."""
        return f"http://{HOST}:{self._home.port(name)}"

    def database(self, context: str) -> str:
        """A context's PostgreSQL database as its owner: for users and tests, not for a process of the stack."""
        return self.database_as(role_name(context, OWNER), context)

    def database_as(self, role: str, context: str) -> str:
        """A context's PostgreSQL database as one of its roles."""
        return self._postgres(role, self._credentials.databases[role], context)

    def databases_of(self, line: Process) -> str:
        """Every PostgreSQL database as the role that the process has there, as a JSON object by context."""
        return json.dumps(
            {context: self.database_as(role_of_process(line, context), context) for context in RELATIONAL_CONTEXTS}
        )

    @property
    def postgres_administrator(self) -> str:
        return self._postgres(POSTGRES_ADMINISTRATOR, self._credentials.postgres_password, "postgres")

    @property
    def rabbitmq(self) -> str:
        """The broker as its administrator: for users and tests, not for a process of the stack."""
        return self._amqp(self._rabbitmq_account)

    def broker(self, account: str, first: int = 0) -> str:
        """The broker with the account of a process; the nodes in order, starting with number `first`."""
        return self._amqp(f"{account}:{self._credentials.brokers[account]}", first)

    @property
    def rabbitmq_management(self) -> str:
        """The management API as the administrator; of each node, if there are several."""
        return ";".join(map(self.rabbitmq_node, self._home.nodes))

    def rabbitmq_node(self, node: Node) -> str:
        """The management API of one node, as the administrator."""
        return self._management(self._rabbitmq_account, node)

    def rabbitmq_monitoring(self, account: str = MONITOR) -> str:
        """The management API with a read-only account; of each node."""
        password = self._credentials.brokers[account]
        return ";".join(self._management(f"{account}:{password}", node) for node in self._home.nodes)

    @property
    def flower(self) -> str:
        """Flower's pages, with the password that opens them."""
        return f"http://{self.flower_account}@{HOST}:{self._home.port('flower')}"

    @property
    def flower_account(self) -> str:
        return f"{FLOWER_USER}:{self._credentials.flower_password}"

    @property
    def mail_catcher(self) -> str:
        """The SMTP address of the mail catcher."""
        return f"smtp://{HOST}:{self._home.port_base + MAIL_CATCHER_SMTP_PORT_OFFSET}"

    @property
    def metrics(self) -> str:
        """The metrics URL of each Holdfast process, as a JSON object by name."""
        shown = [line.name for line in PROCESSES if line.command and line.probe in _WITH_METRICS]
        return json.dumps({name: f"{self.http(name)}/metrics" for name in shown})

    def documents(self, account: str) -> str:
        """Return the URL of an account's MongoDB database, usually the context's own."""
        return self._mongodb(account, self._credentials.databases[account], database_of(account))

    @property
    def mongodb_administrator(self) -> str:
        return self._mongodb(MONGODB_ADMINISTRATOR, self._credentials.mongodb_password, "archive")

    @property
    def _rabbitmq_account(self) -> str:
        return f"{self._credentials.rabbitmq_user}:{self._credentials.rabbitmq_password}"

    def _amqp(self, account: str, first: int = 0) -> str:
        nodes = self._home.nodes
        start = first % len(nodes)
        ports = [self._home.port_base + node.port for node in (*nodes[start:], *nodes[:start])]
        return ";".join(f"amqp://{account}@{HOST}:{port}/" for port in ports)

    def _management(self, account: str, node: Node) -> str:
        return f"http://{account}@{HOST}:{self._home.port_base + node.management_port}"

    def _postgres(self, user: str, password: str, database: str) -> str:
        return f"postgresql+psycopg2://{user}:{password}@{HOST}:{self._home.port('postgres')}/{database}"

    def _mongodb(self, user: str, password: str, database: str) -> str:
        options = f"replicaSet={REPLICA_SET}&authSource=admin&directConnection=true"
        return f"mongodb://{user}:{password}@{HOST}:{self._home.port('mongodb')}/{database}?{options}"
