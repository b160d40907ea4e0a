"""The generated secrets are those that the overlays reference."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import pytest

from infrastructure.database_roles import ALL_ROLES, OWNER, role_name, role_names
from infrastructure.kubernetes.tests.overlays import OVERLAYS, of_kind, rendered
from infrastructure.processes import RELATIONAL_CONTEXTS
from infrastructure.terraform.tests.configuration import load_modules

# Provided by the owner of the installation: access to the bucket of the backups.
REFERENCES = {"secretKeyRef", "secretTargetRef", "passwordSecret", "passwordSecretRef", "secret", "accessKeyId"}
BY_HAND = {"postgres-backup"}


@cache
def made(overlay: str) -> dict[str, dict[str, str]]:
    words = [sys.executable, "-m", "infrastructure.kubernetes.make_secrets", overlay]
    words += ["--postgres", "rds.example", "--rabbitmq", "mq.example", "--mongodb", "docdb.example"]
    given = {
        "STRIPE_API_KEY": "sk_test_x",
        "SMTP_URL": "smtps://shop:secret@mail.example",
        "POSTGRES_ADMINISTRATOR_URL": "postgresql://rds.example/postgres",
        "RABBITMQ_ADMINISTRATOR_URL": "https://mq.example",
    }
    answer = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True, env=os.environ | given)
    document = json.loads(answer.stdout)
    if overlay == "aws":
        return {name.removeprefix("holdfast/"): values for name, values in document.items()}
    return {each["metadata"]["name"]: each["stringData"] for each in document["items"]}


def references(value: Any) -> set[tuple[str, str | None]]:
    """Each referenced Secret, with the key if one is named."""
    if isinstance(value, list):
        return set().union(*map(references, value)) if value else set()
    if not isinstance(value, dict):
        return set()
    found = set().union(*map(references, value.values())) if value else set()
    for field, inner in value.items():
        if field in REFERENCES:
            for each in inner if isinstance(inner, list) else [inner]:
                if each.get("optional"):  # provided by the owner of the installation, if any
                    continue
                found.add((each.get("name") or each["secretName"], each.get("key")))
    return found


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_referenced_secret_is_generated(overlay: str) -> None:
    secrets = made(overlay)
    expected = {each for each in references(list(rendered(overlay))) if each[0] not in BY_HAND}
    assert expected
    for name, key in expected:
        assert name in secrets, name
        assert key is None or secrets[name].get(key), f"{name}: {key}"
    assert set(secrets) - {name for name, _ in expected} == set(), "nobody refers to these"


def test_cloudnativepg_has_every_role_with_access_to_one_database() -> None:
    [cluster] = of_kind("production", "Cluster")
    spec = cluster["spec"]
    assert {role["name"] for role in spec["managed"]["roles"]} == set(ALL_ROLES)
    lines = [f"hostssl {context} {','.join(role_names(context))} all scram-sha-256" for context in RELATIONAL_CONTEXTS]
    *allowed, last = spec["postgresql"]["pg_hba"]
    assert (sorted(allowed), last) == (sorted(lines), "host all all all reject")
    owners = {each["spec"]["name"]: each["spec"]["owner"] for each in of_kind("production", "Database")}
    assert owners == {context: role_name(context, OWNER) for context in RELATIONAL_CONTEXTS}


def test_each_external_secret_exists_in_terraform() -> None:
    keys = {each["spec"]["dataFrom"][0]["extract"]["key"] for each in of_kind("aws", "ExternalSecret")}
    variables = load_modules()["modules/secrets"].variables
    assert keys == {f"holdfast/{name}" for name in variables["processes"]["default"]}
    assert {f"holdfast/{name}" for name in made("aws")} == keys


def test_the_servers_have_the_passwords_that_the_processes_use() -> None:
    secrets = made("production")
    orders = urlsplit(secrets["worker-orders"]["DATABASE_URL"])
    assert (orders.username, orders.path) == ("orders", "/orders")
    assert secrets["postgres-orders"] == {"username": "orders", "password": orders.password}
    owner = urlsplit(secrets["migrate-orders"]["DATABASE_URL"])
    assert (owner.username, owner.path) == ("orders_owner", "/orders")
    assert secrets["postgres-orders-owner"] == {"username": "orders_owner", "password": owner.password}
    relay = {urlsplit(url).username for url in json.loads(secrets["relay"]["OUTBOX_DATABASE_URLS"]).values()}
    assert relay == {f"{context}_relay" for context in RELATIONAL_CONTEXTS}
    assert urlsplit(secrets["service-archive"]["MONGODB_URL"].replace(",", ";")).username == "archive"
    assert secrets["mongodb-archive"]["password"] in secrets["service-archive"]["MONGODB_URL"]
    broker = urlsplit(secrets["worker-orders"]["RABBITMQ_URL"])
    users = {each["name"]: each for each in json.loads(secrets["rabbitmq-definitions"]["definitions.json"])["users"]}
    digest = base64.b64decode(users[str(broker.username)]["password_hash"])
    assert digest[4:] == hashlib.sha256(digest[:4] + str(broker.password).encode()).digest()
    assert secrets["service-orders"].keys() == {"DATABASE_URL"}
    passwords = [urlsplit(values["RABBITMQ_URL"]).password for values in secrets.values() if "RABBITMQ_URL" in values]
    assert len(set(passwords)) == len(passwords), "an account for each"
