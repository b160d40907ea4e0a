"""A Dockerfile as a list of instructions."""

import re
from dataclasses import dataclass
from pathlib import Path

PATH = Path(__file__).parents[1] / "Dockerfile"


@dataclass(frozen=True)
class Instruction:
    word: str
    rest: str
    stage: str


def instructions(path: Path = PATH) -> list[Instruction]:
    """Every instruction with its stage; continued lines are joined."""
    text = re.sub(r"\\\n\s*", " ", path.read_text(encoding="utf-8"))
    found, stage = [], ""
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        word, _, rest = line.partition(" ")
        if word == "FROM":
            stage = rest.rpartition(" AS ")[2]
        found.append(Instruction(word, rest.strip(), stage))
    return found
