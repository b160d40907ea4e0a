"""`.env`: strong secrets that are generated once."""

import base64
from pathlib import Path

from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from holdfast.cli import main
from infrastructure.docker.secret_file import EXAMPLE, signing_key, write

# Empty in the example, because empty is their value.
NO_SECRETS = {
    "KAFKA_BROKER_URL",
    "KAFKA_SASL_MECHANISM",
    "KAFKA_SASL_PASSWORD",
    "KAFKA_SASL_USERNAME",
    "KAFKA_SSL_CA_FILE",
    "RATE_LIMIT_AUTHENTICATED",
    "RATE_LIMIT_ROUTES",
    "TOKEN_PUBLIC_KEYS",
    "TRACE_URL_TEMPLATE",
    "WEBHOOK_ALLOWED_NETWORKS",
    "WEBHOOK_RETRY_SECONDS",
}


def values(file: Path) -> dict[str, str]:
    lines = file.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_every_secret_is_generated_in_a_private_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    made = write(file)
    found = values(file)
    assert set(made) == {name for name, value in values(EXAMPLE).items() if not value} - NO_SECRETS
    assert all(len(found[name]) >= 32 for name in made)
    assert len({found[name] for name in made}) == len(made)
    assert file.stat().st_mode & 0o077 == 0
    assert list(tmp_path.iterdir()) == [file]


def test_existing_values_are_kept_and_missing_ones_added(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    write(file)
    before = values(file)
    kept = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("FLOWER_PASSWORD")]
    file.write_text("\n".join(kept).replace("GATEWAY_PORT=8000", "GATEWAY_PORT=9000") + "\nMY_OWN=1\n")
    assert write(file) == ["FLOWER_PASSWORD"]
    after = values(file)
    assert (after["GATEWAY_PORT"], after["MY_OWN"]) == ("9000", "1")
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"FLOWER_PASSWORD", "GATEWAY_PORT"}
    assert write(file) == []


def test_the_signing_key_is_valid() -> None:
    key = load_pem_private_key(base64.b64decode(signing_key()), password=None)
    assert isinstance(key, Ed25519PrivateKey)
    assert len(key.sign(b"x")) == 64


def test_the_command_names_generated_secrets_without_revealing_them(tmp_path: Path) -> None:
    file = tmp_path / "env"
    answer = CliRunner().invoke(main, ["secrets", "--file", str(file)])
    assert answer.exit_code == 0, answer.output
    assert "made POSTGRES_PASSWORD" in answer.output
    assert not [value for name, value in values(file).items() if len(value) >= 32 and value in answer.output]
    assert CliRunner().invoke(main, ["secrets", "--file", str(tmp_path / "no" / "env")]).exit_code == 1
