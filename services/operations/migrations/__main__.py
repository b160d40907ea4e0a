"""The job: common/storage/document_migrations.py on the table of this package."""

from __future__ import annotations

from common.settings import load
from common.storage.document_migrations import Settings, migrate
from services.operations import migrations

if __name__ == "__main__":
    migrate("operations", migrations, load(Settings))
