"""Strong secrets for an installation: `python -m infrastructure.kubernetes.make_secrets OVERLAY | kubectl create -f -`.

Guarantee: each process gets a Secret of its own name with only the variables of the process table, for the accounts of
infrastructure/privileges.py, with passwords from the system's random source; the servers get the same passwords. It
only writes to its output. Every run generates new ones: `kubectl create` rejects existing Secrets. To change a
password, create new Secrets and run the accounts' jobs again.
"""

from __future__ import annotations

import base64
import json
import os

import click

from infrastructure.kubernetes.installation import Installation
from infrastructure.kubernetes.servers import LOCAL, PRODUCTION, aws
from infrastructure.processes import PROCESSES, Process

Secrets = dict[str, dict[str, str]]
_NOT_IN_PRODUCTION = {"seed"}


def of_processes(installation: Installation, *, with_seed: bool) -> Secrets:
    """Every process's Secret; relays of one kind share one, as they share an account."""
    lines = [line for line in PROCESSES if with_seed or line.name not in _NOT_IN_PRODUCTION]
    found = {name_of(line): installation.of_process(line) for line in lines}
    return {name: values for name, values in found.items() if values}


def name_of(line: Process) -> str:
    """The workload's name: `relay-1` and `relay-2` are replicas of `relay`."""
    same = [each for each in PROCESSES if each.command and each.command == line.command]
    return line.name.rpartition("-")[0] if len(same) > 1 else line.name


def for_local(installation: Installation) -> Secrets:
    administrator = installation.password_of("postgres administrator")
    mongodb = {
        "KEY": base64.b64encode(os.urandom(96)).decode(),
        "ADMINISTRATOR_PASSWORD": installation.password_of("mongodb administrator"),
        "ACCOUNT_PASSWORDS": json.dumps(installation.documents()),
    }
    return of_processes(installation, with_seed=True) | {
        "postgres": {"POSTGRES_PASSWORD": administrator},
        "accounts-postgres": {
            "POSTGRES_ADMINISTRATOR_URL": LOCAL.postgres("postgres", administrator, "postgres"),
            "ACCOUNT_PASSWORDS": json.dumps(installation.relational()),
        },
        "rabbitmq-definitions": {"definitions.json": installation.definitions()},
        "mongodb": mongodb,
    }


def for_production(installation: Installation) -> Secrets:
    return (
        of_processes(installation, with_seed=False)
        | {
            "autoscaling": installation.autoscaling(),
            "rabbitmq-definitions": {"definitions.json": installation.definitions()},
        }
        | {
            secret_of_role(role): {"username": role, "password": word}
            for role, word in installation.relational().items()
        }
        | {f"mongodb-{name}": {"password": word} for name, word in installation.documents().items()}
    )


def secret_of_role(role: str) -> str:
    """The name of a role's password Secret for CloudNativePG; Kubernetes names have no underscores."""
    return f"postgres-{role.replace('_', '-')}"


def for_aws(installation: Installation) -> Secrets:
    """Set the administrators' credentials by hand: `POSTGRES_ADMINISTRATOR_URL`, `RABBITMQ_ADMINISTRATOR_URL`."""
    return of_processes(installation, with_seed=False) | {
        "autoscaling": installation.autoscaling(),
        "accounts-postgres": {
            "POSTGRES_ADMINISTRATOR_URL": os.environ["POSTGRES_ADMINISTRATOR_URL"],
            "ACCOUNT_PASSWORDS": json.dumps(installation.relational()),
        },
        "accounts-rabbitmq": {
            "RABBITMQ_ADMINISTRATOR_URL": os.environ["RABBITMQ_ADMINISTRATOR_URL"],
            "ACCOUNT_PASSWORDS": json.dumps(installation.brokers()),
        },
    }


def manifest(secrets: Secrets) -> str:
    """The manifest for `kubectl create -f -`."""
    items = [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": "holdfast"},
            "type": "kubernetes.io/basic-auth" if set(values) == {"username", "password"} else "Opaque",
            "stringData": values,
        }
        for name, values in secrets.items()
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=1)


@click.command()
@click.argument("overlay", type=click.Choice(["local", "production", "aws"]))
@click.option("--postgres", "postgres_host", help="aws: RDS's host.")
@click.option("--rabbitmq", "rabbitmq_host", help="aws: Amazon MQ's host.")
@click.option("--mongodb", "mongodb_host", help="aws: DocumentDB's host.")
def main(overlay: str, postgres_host: str | None, rabbitmq_host: str | None, mongodb_host: str | None) -> None:
    """Print the Secrets of OVERLAY; for aws as JSON, by the names in Secrets Manager.

    STRIPE_API_KEY and SMTP_URL come from the environment; without them `local` uses the sandbox and the mail catcher,
    and the others send no e-mail.
    """
    stripe_key = os.environ.get("STRIPE_API_KEY", "")
    smtp_url = os.environ.get("SMTP_URL", "")
    if not stripe_key and overlay != "local":
        raise click.UsageError("set STRIPE_API_KEY in the environment")
    if overlay == "local":
        keys = (stripe_key or "sk_test_sandbox", smtp_url or "smtp://mail-catcher:8025")
        click.echo(manifest(for_local(Installation(LOCAL, *keys))))
    elif overlay == "production":
        click.echo(manifest(for_production(Installation(PRODUCTION, stripe_key, smtp_url))))
    elif not (postgres_host and rabbitmq_host and mongodb_host):
        raise click.UsageError("aws needs --postgres, --rabbitmq and --mongodb (terraform output servers)")
    else:
        found = for_aws(Installation(aws(postgres_host, rabbitmq_host, mongodb_host), stripe_key, smtp_url))
        click.echo(json.dumps({f"holdfast/{name}": values for name, values in found.items()}, indent=1))


if __name__ == "__main__":
    main()
