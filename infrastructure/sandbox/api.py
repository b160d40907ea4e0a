"""The /v1 API: find the operation, inject faults, authenticate, parse the parameters, execute once.

Guarantee: nothing is executed before the request was fully parsed and accepted.
"""

import base64
import binascii
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from infrastructure.sandbox import intents, refunds
from infrastructure.sandbox.errors import ApiError, unauthorized, unrecognized
from infrastructure.sandbox.exchange import Reply, Request, Work
from infrastructure.sandbox.faults import FaultBook, Strike
from infrastructure.sandbox.forms import decode, decode_body
from infrastructure.sandbox.idempotency import Attempt, Executor, read_key
from infrastructure.sandbox.injection import Injector
from infrastructure.sandbox.params import Params
from infrastructure.sandbox.storage import Storage

KEY_PREFIX = "sk_test_"


@dataclass(frozen=True)
class Operation:
    """One row of the table below."""

    name: str
    method: str
    path: re.Pattern[str]
    prepare: Callable[[Params, str], Work]


class Api:
    """Answers requests below /v1."""

    def __init__(self, storage: Storage, faults: FaultBook, stopping: threading.Event) -> None:
        self._storage = storage
        self._faults = faults
        self._injector = Injector(stopping)
        self._executor = Executor(storage)

    def answer(self, request: Request, request_id: str, note: Callable[..., None]) -> Reply:
        """One request with its faults; `note` collects the fields of the log line."""
        operation, ident = find_operation(request.method, request.path)
        name = operation.name if operation else None
        strikes = self._faults.strikes(request.method, request.path, name)
        note(operation=name or "unknown", faults=[strike.fault.kind for strike in strikes])
        reply = self._injector.before(request, strikes)
        if reply is not None:
            self._injector.delay(strikes)
            return reply
        authenticate(request.headers.get("Authorization"))
        if operation is None:
            raise unrecognized(request.method, request.path[:200])
        return self._execute(request, operation, ident, request_id, strikes)

    def _execute(
        self, request: Request, operation: Operation, ident: str, request_id: str, strikes: list[Strike]
    ) -> Reply:
        tree = _parameters(request)
        work = self._injector.work(strikes, operation.prepare(Params(tree), ident))
        failure = self._injector.failure(strikes)
        if request.method == "GET":
            self._injector.delay(strikes)
            with self._storage.read() as tx:
                reply = work(tx)
            return self._injector.after(request, strikes, failure or reply)
        key = read_key(request.headers.get("Idempotency-Key"))
        with self._executor.claim(key):
            self._injector.delay(strikes)
            attempt = Attempt(key, request.path, tree, request_id)
            reply = self._executor.run(attempt, work, failure=failure)
        return self._injector.after(request, strikes, reply)


def find_operation(method: str, path: str) -> tuple[Operation | None, str]:
    """The operation at that address and the id in it."""
    for operation in OPERATIONS:
        found = operation.path.fullmatch(path) if operation.method == method else None
        if found:
            return operation, found.groupdict().get("id", "")
    return None, ""


def authenticate(header: str | None) -> None:
    """Accept any `sk_test_...` key, as a bearer token or as the user name of basic authentication."""
    scheme, _, given = (header or "").strip().partition(" ")
    key = given.strip()
    if scheme.lower() == "basic":
        key = _user_name(key)
    elif scheme.lower() != "bearer":
        key = ""
    if not key:
        raise unauthorized(
            "You did not provide an API key. You need to provide your API key in the Authorization header, using"
            " Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
        )
    if not key.startswith(KEY_PREFIX) or key == KEY_PREFIX:
        raise unauthorized(f"Invalid API Key provided: {key[:8]}{'*' * 12}")


def _user_name(credentials: str) -> str:
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _parameters(request: Request) -> dict[str, Any]:
    if request.method == "GET":
        return decode(request.query)
    if request.query:
        raise ApiError("Parameters of a POST belong in its body.")
    return decode_body(request.body, request.headers.get("Content-Type", ""))


INTENTS, REFUNDS, IDENT = "/v1/payment_intents", "/v1/refunds", "/(?P<id>[^/]+)"

OPERATIONS = (
    Operation("create", "POST", re.compile(INTENTS), intents.create),
    Operation("list", "GET", re.compile(INTENTS), intents.list_all),
    Operation("retrieve", "GET", re.compile(INTENTS + IDENT), intents.retrieve),
    Operation("confirm", "POST", re.compile(INTENTS + IDENT + "/confirm"), intents.confirm),
    Operation("cancel", "POST", re.compile(INTENTS + IDENT + "/cancel"), intents.cancel),
    Operation("refund", "POST", re.compile(REFUNDS), refunds.create),
    Operation("list_refunds", "GET", re.compile(REFUNDS), refunds.list_all),
    Operation("retrieve_refund", "GET", re.compile(REFUNDS + IDENT), refunds.retrieve),
)
