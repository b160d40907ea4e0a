"""`holdfast audit` on the running stack: its exit code and what it found."""

import json
from dataclasses import dataclass
from typing import Any

from click.testing import CliRunner

from holdfast.cli import main
from infrastructure.local.stack import Stack


@dataclass(frozen=True)
class Audit:
    exit_code: int
    document: dict[str, Any]

    @property
    def found(self) -> set[tuple[str, str]]:
        """The broken promises, each with its subject."""
        return {(finding["promise"], finding["subject"]) for finding in self.document["findings"]}


def audit(stack: Stack, *, settle_seconds: float = 60) -> Audit:
    """Run the command; fails unless it reaches a verdict that matches its exit code."""
    words = ["audit", "--home", str(stack.home.path), "--settle", str(settle_seconds), "--json"]
    result = CliRunner().invoke(main, words, catch_exceptions=False)
    assert result.exit_code in {0, 1}, result.output
    document = json.loads(result.stdout)
    assert document["ok"] is (result.exit_code == 0)
    return Audit(result.exit_code, document)


def assert_kept(stack: Stack) -> Audit:
    """Check that every promise is kept, and that every accepted event was handled by its consumers."""
    done = audit(stack)
    assert done.exit_code == 0, done.document["findings"]
    assert done.document["dead_letters"] == 0
    return done
