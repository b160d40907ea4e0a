"""The SQL that a migration would execute, and its parts that are unsafe while the previous version still runs.

squawk (https://squawkhq.com) checks it: it parses PostgreSQL's own grammar, and knows the locks of each statement and
the changes that break processes of the previous version. A table created in the same migration is exempt.
It does not check changes of rows. No migration changes rows: sweeps do that in batches.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from alembic.migration import MigrationContext
from alembic.operations import Operations

OLDEST_POSTGRESQL = "13"
# Rules of squawk that do not hold here, and why.
LEFT_OUT = {
    "prefer-bigint-over-int": "what counts up to a few is an integer",
    "prefer-bigint-over-smallint": "likewise",
    "require-lock-timeout": "common.storage.migrations sets it for every migration",
    "require-statement-timeout": "likewise",
    "prefer-robust-stmts": "a migration is one transaction: it is there as a whole or not at all",
}
_CHANGES_ROWS = re.compile(r"^\s*(UPDATE|DELETE|TRUNCATE)\b", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, order=True)
class Unsafe:
    """One finding: the migration, the rule, and the statement's first line."""

    migration: str
    rule: str
    statement: str


def rendered(migration: Path) -> str:
    """The SQL of a migration's upgrade, without running it."""
    spec = spec_from_file_location(f"migration_{migration.stem}", migration)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    text = io.StringIO()
    context = MigrationContext.configure(
        dialect_name="postgresql", opts={"as_sql": True, "output_buffer": text, "transactional_ddl": True}
    )
    with Operations.context(context), context.begin_transaction():
        module.upgrade()
    return text.getvalue()


def unsafe(name: str, sql: str) -> list[Unsafe]:
    """What is unsafe in the SQL of the migration `name`."""
    lines = sql.splitlines()
    found = [Unsafe(name, each["rule_name"], lines[each["line"]].strip()) for each in _squawk(sql)]
    found += [Unsafe(name, "changes-rows", match[0].strip()) for match in _CHANGES_ROWS.finditer(sql)]
    return sorted(found)


def _squawk(sql: str) -> list[dict[str, Any]]:
    program = Path(sys.executable).with_name("squawk")
    words = [str(program), "--reporter=json", f"--pg-version={OLDEST_POSTGRESQL}", f"--exclude={','.join(LEFT_OUT)}"]
    ended = subprocess.run(words, input=sql, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode in (0, 1), ended.stderr
    answer: list[dict[str, Any]] = json.loads(ended.stdout or "[]")
    return answer
