"""The server URLs of each overlay, with an account."""

from __future__ import annotations

from dataclasses import dataclass

_CERTIFICATES = "/etc/aws-ca/global-bundle.pem"


@dataclass(frozen=True, slots=True)
class Servers:
    """Hosts and options; a method returns the URL of an account. A MongoDB account's database has its name."""

    postgres_host: str
    postgres_options: str
    rabbitmq_address: str
    management_address: str
    mongodb_hosts: str
    mongodb_options: str

    def postgres(self, role: str, password: str, database: str) -> str:
        return f"postgresql+psycopg2://{role}:{password}@{self.postgres_host}/{database}{self.postgres_options}"

    def rabbitmq(self, account: str, password: str) -> str:
        return _with_account(self.rabbitmq_address, account, password) + "/"

    def management(self, account: str, password: str) -> str:
        return _with_account(self.management_address, account, password)

    def mongodb(self, account: str, password: str, database: str) -> str:
        return f"mongodb://{account}:{password}@{self.mongodb_hosts}/{database}?{self.mongodb_options}"


def _with_account(address: str, account: str, password: str) -> str:
    return address.replace("//", f"//{account}:{password}@", 1)


LOCAL = Servers(
    postgres_host="postgres-rw:5432",
    postgres_options="",
    rabbitmq_address="amqp://rabbitmq:5672",
    management_address="http://rabbitmq:15672",
    mongodb_hosts="mongodb-0.mongodb-svc:27017",
    mongodb_options="replicaSet=holdfast&authSource=admin",
)

# The operators' names: CloudNativePG's Service for writing, and one host for each member of the replica set.
PRODUCTION = Servers(
    postgres_host="postgres-rw:5432",
    postgres_options="?sslmode=require",
    rabbitmq_address="amqp://rabbitmq:5672",
    # KEDA connects from another namespace.
    management_address="http://rabbitmq.holdfast.svc:15672",
    mongodb_hosts=",".join(f"mongodb-{number}.mongodb-svc.holdfast.svc.cluster.local:27017" for number in range(3)),
    mongodb_options="replicaSet=mongodb&authSource=admin",
)


def aws(postgres: str, rabbitmq: str, mongodb: str) -> Servers:
    """The servers of AWS, always with TLS and verified certificates."""
    return Servers(
        postgres_host=f"{postgres}:5432",
        postgres_options=f"?sslmode=verify-full&sslrootcert={_CERTIFICATES}",
        rabbitmq_address=f"amqps://{rabbitmq}:5671",
        management_address=f"https://{rabbitmq}:443",
        mongodb_hosts=f"{mongodb}:27017",
        mongodb_options=f"replicaSet=rs0&authSource=admin&retryWrites=false&tls=true&tlsCAFile={_CERTIFICATES}",
    )
