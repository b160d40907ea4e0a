"""Write services/<context>/Dockerfile: `python -m infrastructure.docker.write_dockerfiles`.

Guarantee: each is infrastructure/docker/Dockerfile with the context as the default of its build argument, so
`docker build -t orders -f services/orders/Dockerfile .` needs no argument and no other image. A test compares the
files with what this writes. (Docker can neither include a file nor read one outside the build context, so there are
copies.)
"""

import json
import re
from pathlib import Path

from infrastructure.processes import process

ROOT = Path(__file__).resolve().parents[2]
ORIGINAL = ROOT / "infrastructure" / "docker" / "Dockerfile"
_ARGUMENT = 'ARG SERVICE=""'
# Without a command: the service, as the process table starts it.
_WITHOUT_COMMAND = re.compile(r"^CMD .*\Z", re.MULTILINE | re.DOTALL)
_HEADER = """\
# The {context} service{worker} in an image of its own. The kit (common/) lies in the repository's root, so the build
# takes place there:
#
#   docker build -t {context} -f services/{context}/Dockerfile .
#   docker build -t {context} -f Dockerfile ../..                  # the same from this folder
#
# Written by `python -m infrastructure.docker.write_dockerfiles` from infrastructure/docker/Dockerfile: change that one.
"""


def contexts() -> list[str]:
    """Every context that has a service."""
    return sorted(path.parent.name for path in (ROOT / "services").glob("*/main.py"))


def dockerfile(context: str) -> str:
    """The text of a context's Dockerfile."""
    instructions = re.sub(r"\A(#.*\n)+", "", ORIGINAL.read_text(encoding="utf-8"))
    if _ARGUMENT not in instructions:
        raise ValueError(f"{ORIGINAL} has no {_ARGUMENT}")
    worker = " and its worker" if (ROOT / "workers" / context / "main.py").is_file() else ""
    header = _HEADER.format(context=context, worker=worker)
    text = header + instructions.replace(_ARGUMENT, f'ARG SERVICE="{context}"')
    command = process(f"service-{context}").command
    return text if "gunicorn" in command else _WITHOUT_COMMAND.sub(f"CMD {json.dumps(command)}\n", text)


if __name__ == "__main__":
    for name in contexts():
        (ROOT / "services" / name / "Dockerfile").write_text(dockerfile(name), encoding="utf-8")
