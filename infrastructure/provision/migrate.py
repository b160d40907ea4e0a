"""Updates a context's database: `python -m infrastructure.provision.migrate CONTEXT`, as its owner.

Guarantee: it exits with 0 when the newest migration is applied and every role of the database has its privileges
(`infrastructure.database_roles`); it is idempotent. DATABASE_URL is the owner's. The migrations themselves are `python
-m common.storage.migrations CONTEXT`, which this runs first, with the same environment.
"""

import os
import subprocess
import sys
from contextlib import closing

from infrastructure.processes import RELATIONAL_CONTEXTS
from infrastructure.provision import grants, postgres


def main(arguments: list[str]) -> int:
    """Migrate, then grant."""
    if len(arguments) != 1 or arguments[0] not in RELATIONAL_CONTEXTS:
        _complain(f"usage: python -m infrastructure.provision.migrate {'|'.join(RELATIONAL_CONTEXTS)}")
        return 2
    [context] = arguments
    # Without its own time-out: each wait of the migrations has one, and the caller limits the job.
    migrations = subprocess.run([sys.executable, "-m", "common.storage.migrations", context], check=False)
    if migrations.returncode != 0:
        return migrations.returncode
    # The migrations have already checked it.
    with closing(postgres.connect(os.environ["DATABASE_URL"])) as connection:
        connection.autocommit = False
        grants.grant(connection, context)
    return 0


def _complain(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
