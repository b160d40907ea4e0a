"""Generated requests, good and bad, against a service's own OpenAPI document. Any context's tests may call it.

Schemathesis runs with all of its checks, so a document that promises too little fails as well as a service that keeps
too little of it. The requests are the same in each run: a run that fails must fail again.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING, Any

import schemathesis
from schemathesis.checks import load_all_checks
from schemathesis.engine import events, from_schema
from werkzeug.serving import WSGIRequestHandler, make_server

from common.messaging.events import new_id

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from flask import Flask
    from schemathesis.engine.recorder import ScenarioRecorder

EXAMPLES = 10
SEED = 1
MAX_SHOWN, MAX_REPLY = 20, 1000


def check_conformance(
    app: Flask,
    headers: dict[str, str],
    *,
    rules_in_words: Collection[str] = (),
    empty_bodies: Collection[str] = (),
) -> int:
    """Send every operation requests made from the document, and some that break it; return how many operations.

    `headers` carry a good token. Operations in `rules_in_words` ("POST /path") may refuse more than their schema says.
    Those in `empty_bodies` take a body without members, which need not be sent: schemathesis leaves it out and calls
    that wrong.
    """
    load_all_checks()
    with _served(app) as url:
        excluded = [(name, "positive_data_acceptance") for name in rules_in_words]
        excluded += [(name, "negative_data_rejection") for name in empty_bodies]
        config = _config(headers, excluded)
        return _check(schemathesis.openapi.from_url(f"{url}/openapi.json", config=config))


@contextmanager
def _served(app: Flask) -> Iterator[str]:
    """The app behind a socket: the run's own transport for WSGI does not know all that its checks ask for."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_QuietHandler)
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _QuietHandler(WSGIRequestHandler):
    def log(self, *_arguments: Any) -> None: ...


def _check(schema: Any) -> int:
    failures, operations = Counter[str](), set[str]()
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            operations |= {node.value.operation.label for node in event.recorder.cases.values()}
            failures.update(_failures(event.recorder))
        elif isinstance(event, events.NonFatalError):
            failures[f"{event.label}: {event.info.format()}"] += 1
        elif isinstance(event, events.FatalError):
            raise event.exception
        elif isinstance(event, events.EngineFinished):
            failures.update(map(str, event.failures))
    assert not failures, "\n\n".join(f"{count} times: {what}" for what, count in failures.most_common(MAX_SHOWN))
    return len(operations)


def _config(headers: dict[str, str], excluded: list[tuple[str, str]]) -> Any:
    return schemathesis.Config.from_dict(
        {
            "seed": SEED,
            "cache": {"enabled": False},
            "headers": headers,
            # JSON as this system takes it has no U+0000: it would be said in words at every text.
            "generation": {"deterministic": True, "database": "none", "max-examples": EXAMPLES, "allow-x00": False},
            "phases": {"stateful": {"max-steps": 4}},
            "operations": [{"include-name": name, "checks": {check: {"enabled": False}}} for name, check in excluded],
        }
    )


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Make good what no schema can say: a key is fresh, and whole numbers are not written as 1.0."""
    if case.meta and case.meta.generation.mode.is_negative:
        return
    case.body = _whole_numbers(case.body)
    if "Idempotency-Key" in (case.headers or {}):
        case.headers["Idempotency-Key"] = new_id()


def _whole_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _whole_numbers(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_whole_numbers(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _failures(recorder: ScenarioRecorder) -> list[str]:
    found = []
    for case_id, checks in recorder.checks.items():
        for check in checks:
            if check.failure_info is not None:
                node = recorder.interactions.get(case_id)
                reply = node.response.text if node and node.response else ""
                info = check.failure_info
                found.append(f"{recorder.label}: {check.name}: {info.failure}\n{info.code_sample}\n{reply[:MAX_REPLY]}")
    return found
