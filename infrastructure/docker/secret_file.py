"""`.env` with strong secrets, from `.env.example`: `python3 -m infrastructure.docker.secret_file [FILE]`.

Guarantee: every secret that has no value yet gets one from the system's random source, 128 bits or more; existing
values are kept, missing variables are added; only the owner can read the file. Only names are printed. (Standard
library only: it needs just Docker and Python.)
"""

import base64
import os
import re
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / ".env.example"
_ASSIGNMENT = re.compile(r"([A-Z][A-Z0-9_]*)=(.*)")
_SECRET = re.compile(r"(PASSWORD|KEY)$")
_OF_OTHERS = frozenset({"KAFKA_SASL_PASSWORD"})  # of an external account
# RFC 8410: the prefix of the 32 bytes of an Ed25519 key in PKCS #8.
_ED25519_PREFIX = bytes.fromhex("302e020100300506032b657004220420")


def password() -> str:
    """Letters and digits only, because it is used in URLs and JSON."""
    return secrets.token_hex(16)


def signing_key() -> str:
    """Return base64 of the PEM of a new Ed25519 key."""
    body = base64.b64encode(_ED25519_PREFIX + secrets.token_bytes(32)).decode()
    return base64.b64encode(f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n".encode()).decode()


def fernet_key() -> str:
    """Return 32 bytes in URL-safe base64 (https://github.com/fernet/spec)."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def complete(example: str, known: dict[str, str]) -> tuple[str, list[str]]:
    """Return the text of the new file, and the names of the generated secrets."""
    lines, made, seen = [], [], set()
    for line in example.splitlines():
        match = _ASSIGNMENT.fullmatch(line)
        if match is None:
            lines.append(line)
            continue
        name, default = match.groups()
        seen.add(name)
        value = known.get(name, default)
        if not value and name not in _OF_OTHERS and (_SECRET.search(name) or name in _MAKERS):
            value = _MAKERS.get(name, password)()
            made.append(name)
        lines.append(f"{name}={value}")
    own = [f"{name}={value}" for name, value in known.items() if name not in seen]
    if own:
        lines += ["", "# Not in .env.example.", *own]
    return "\n".join(lines) + "\n", made


def write(file: Path) -> list[str]:
    """Update the file; returns the names of the generated secrets. Raises OSError."""
    known = {match[1]: match[2] for line in _lines(file) if (match := _ASSIGNMENT.fullmatch(line))}
    text, made = complete(EXAMPLE.read_text(encoding="utf-8"), known)
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as target:
        target.write(text)
    draft.replace(file)
    return made


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []


_MAKERS: dict[str, Callable[[], str]] = {
    "TOKEN_SIGNING_KEY": signing_key,
    "MONGODB_KEY": lambda: secrets.token_hex(64),
    "WEBHOOK_SECRET_KEYS": fernet_key,
    "CONTACT_TOKENS": password,
}


def main(arguments: list[str]) -> int:
    """Write the file and print the names of the generated secrets."""
    file = Path(arguments[0]) if arguments else ROOT / ".env"
    made = write(file)
    print(f"{file}: {len(made)} secrets generated{': ' if made else ''}{', '.join(made)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
