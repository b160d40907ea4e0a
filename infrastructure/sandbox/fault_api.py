"""The admin API at /faults: list, add, replace and remove faults. Invalid input gets a problem document.

It requires no key: expose its port only to the operators of the sandbox.
"""

import json
from typing import Any

from marshmallow import Schema, ValidationError

from infrastructure.sandbox.exchange import Reply, Request, json_reply
from infrastructure.sandbox.fault_schemas import FaultListSchema, FaultSchema
from infrastructure.sandbox.faults import MOST_FAULTS, Fault, FaultBook

ROOT = "/faults"


class FaultApi:
    """Answers requests at and below /faults."""

    def __init__(self, faults: FaultBook) -> None:
        self._faults = faults

    def answer(self, request: Request) -> Reply:
        try:
            if request.path == ROOT:
                return self._answer_list(request)
            return self._answer_one(request, request.path.removeprefix(ROOT + "/"))
        except ValidationError as error:
            return problem(422, "invalid_fault", "The fault is not valid.", errors=error.messages)
        except (ValueError, RecursionError):
            return problem(400, "invalid_json", "The body is not JSON.")

    def _answer_list(self, request: Request) -> Reply:
        if request.method == "GET":
            return self._listing()
        if request.method == "DELETE":
            self._faults.replace_all([])
            return self._listing()
        if request.method == "PUT":
            document = json.loads(request.body)
            listed = {"data": document} if isinstance(document, list) else document  # a bare array is taken, too
            self._faults.replace_all(_loaded(FaultListSchema(), listed)["data"])
            return self._listing()
        if request.method == "POST":
            fault: Fault = _loaded(FaultSchema(), json.loads(request.body))
            if not self._faults.add(fault):
                return problem(409, "too_many_faults", f"There are {MOST_FAULTS} faults already.")
            return json_reply(201, fault.document())
        return problem(405, "method_not_allowed", "Use GET, POST, PUT or DELETE.").with_headers(
            Allow="GET, POST, PUT, DELETE"
        )

    def _answer_one(self, request: Request, ident: str) -> Reply:
        found = next((fault for fault in self._faults.current() if fault.id == ident), None)
        if found is None:
            return problem(404, "not_found", f"There is no fault {ident[:100]}.")
        if request.method == "GET":
            return json_reply(200, found.document())
        if request.method == "DELETE":
            self._faults.remove(ident)
            return json_reply(200, found.document())
        return problem(405, "method_not_allowed", "Use GET or DELETE.").with_headers(Allow="GET, DELETE")

    def _listing(self) -> Reply:
        data = [fault.document() for fault in self._faults.current()]
        return json_reply(200, {"object": "list", "data": data, "has_more": False, "url": ROOT})


def problem(status: int, code: str, title: str, **more: Any) -> Reply:
    """An RFC 9457 problem document."""
    document = {"type": "about:blank", "title": title, "status": status, "code": code, **more}
    return json_reply(status, document, "application/problem+json")


def _loaded(schema: Schema, document: Any) -> Any:
    return schema.load(document)
