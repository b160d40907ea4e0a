from __future__ import annotations

import pytest
from pymongo.errors import PyMongoError

from common.observability import tracing
from common.storage.mongodb import connect, ping
from common.tests.otlp_receiver import recording

pytestmark = pytest.mark.integration


def test_commands_of_recorded_work_are_spans_without_their_documents(document_store: str) -> None:
    store = connect(document_store, timeout_seconds=60, name="test", pool_size=1)
    with recording() as collector:
        ping(store)
        with tracing.entry("work", "consumer", None, {}):
            store["letters"].insert_one({"secret": "hunter2"})
            with pytest.raises(PyMongoError):
                store.command("nonsense")
        ping(store)
        tracing.shutdown()
        work, insert, nonsense = collector.wait_for("work", "insert letters", f"nonsense {store.name}")
    store.client.close()
    assert len(collector.spans) == 3
    assert (insert.parent_id, nonsense.parent_id) == (work.span_id, work.span_id)
    assert (insert.kind, insert.failed, nonsense.failed) == ("client", False, True)
    assert insert.attributes["db.collection.name"] == "letters"
    assert "hunter2" not in repr(collector.spans)
    assert "CommandNotFound" in nonsense.events[0][1]["exception.message"]
