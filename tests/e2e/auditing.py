"""`holdfast audit` on the running stack: its exit code and what it found."""

import json
from dataclasses import dataclass
from typing import Any

from click.testing import CliRunner

from holdfast.cli import main
from holdfast.commands.audit import EXIT_UNKNOWN
from infrastructure.local.stack import Stack
from tests.e2e.waiting import eventually


@dataclass(frozen=True)
class Audit:
    exit_code: int
    document: dict[str, Any]

    @property
    def found(self) -> set[tuple[str, str]]:
        """The broken promises, each with its subject."""
        return {(finding["promise"], finding["subject"]) for finding in self.document["findings"]}


def audit(stack: Stack, *, settle_seconds: float = 60) -> Audit:
    """Run the command; fails unless it reaches a verdict that matches its exit code.

    It is repeated while the system could not be read, which happens if a busy machine does not answer for seconds.
    """
    words = ["audit", "--home", str(stack.home.path), "--settle", str(settle_seconds), "--json"]
    result = eventually(
        lambda: CliRunner().invoke(main, words, catch_exceptions=False), lambda done: done.exit_code != EXIT_UNKNOWN
    )
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
