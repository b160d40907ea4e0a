"""Compose, Kubernetes and Terraform: deploys the new context like inventory.

Guarantee: every section and line for inventory gets a copy for the new context; tests compare the result with the
process table.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from holdfast.new_service.tables import MODEL
from infrastructure.local.errors import StackError

if TYPE_CHECKING:
    from pathlib import Path

_KUBERNETES = "infrastructure/kubernetes"
# Each with its section separator.
FILES = {
    ".env.example": "\n\n",
    "compose.yaml": "\n\n",
    "infrastructure/terraform/modules/secrets/variables.tf": "\n\n",
    f"{_KUBERNETES}/base/jobs/kustomization.yaml": "\n---\n",
    f"{_KUBERNETES}/base/services/kustomization.yaml": "\n---\n",
    f"{_KUBERNETES}/base/services/operations/settings.yaml": "\n---\n",
    f"{_KUBERNETES}/base/workers/kustomization.yaml": "\n---\n",
    f"{_KUBERNETES}/components/autoscaling/queues.yaml": "\n---\n",
    f"{_KUBERNETES}/components/operators/postgres.yaml": "\n---\n",
    f"{_KUBERNETES}/overlays/aws/secrets.yaml": "\n---\n",
}
FOLDERS = (
    f"{_KUBERNETES}/base/jobs/migrate-{MODEL}",
    f"{_KUBERNETES}/base/services/{MODEL}",
    f"{_KUBERNETES}/base/workers/{MODEL}",
)
# The PostgreSQL connections of the new context when all its processes are scaled out during a rollout.
CONNECTIONS = {
    f"{_KUBERNETES}/components/operators/postgres.yaml": 150,
    f"{_KUBERNETES}/components/servers/postgres.yaml": 50,
}
_LIMIT = re.compile(r"(?<=max_connections)(: \"|=)([0-9]+)")
# A section of its own: a process of compose, or a Kubernetes object with its name.
_OWN = re.compile(
    rf"^(?:  (?:(?:migrate|service|worker)-{MODEL}:|name: (?:worker-)?{MODEL})$|metadata: {{name: [a-z]+-{MODEL},)",
    re.MULTILINE,
)
_COMMENTS = re.compile(r"\A(?: *#.*\n)+")


def folder_files(root: Path, name: str) -> dict[str, str]:
    """Return the files of the new folders."""
    found = {}
    for folder in FOLDERS:
        for path in sorted((root / folder).iterdir()):
            place = str(path.relative_to(root))
            found[renamed(place, name)] = renamed(path.read_text(encoding="utf-8"), name)
    return found


def with_copies(text: str, separator: str, name: str) -> str:
    """Return the text with a copy of the model's sections. StackError if there are none."""
    if renamed(text, name) == text:
        raise StackError(f"a deployment file does not mention {MODEL}")
    return separator.join(_copied(section, separator, name) for section in text.split(separator))


def with_connections(text: str, more: int) -> str:
    """Return the text with a higher `max_connections`. StackError if it sets none."""
    found, count = _LIMIT.subn(lambda limit: f"{limit[1]}{int(limit[2]) + more}", text)
    if count != 1:
        raise StackError("the Kubernetes components do not set max_connections of PostgreSQL once")
    return found


def renamed(text: str, name: str) -> str:
    """Return the text with the new name in place of the model's."""
    text = re.sub(rf"(?<![A-Za-z]){MODEL}(?![A-Za-z])", name, text)
    return re.sub(rf"(?<![A-Za-z]){MODEL.upper()}(?![A-Za-z])", name.upper(), text)


def _copied(section: str, separator: str, name: str) -> str:
    if _OWN.search(section):
        return section.rstrip("\n") + separator + renamed(_COMMENTS.sub("", section), name)
    lines: list[str] = []
    copies: list[str] = []
    for line in section.splitlines(keepends=True):
        if renamed(line, name) == line:
            lines += copies
            copies = []
        else:
            copies.append(renamed(line, name))
        lines.append(line)
    return "".join(lines + copies)
