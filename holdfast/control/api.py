"""The routes of the control process: available faults, the active fault, and the acts. JSON, for operators' tokens
only.

The console calls them from its server. A request from a browser (with an Origin or a Sec-Fetch-Site header) is
rejected, with any token.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, cast

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from common.errors import Unauthenticated, Unavailable
from holdfast.control.audit_run import AuditRun, AuditRunningError
from holdfast.control.injection import FAILURES, MAX_SECONDS, MIN_SECONDS, FaultActiveError, Injection

if TYPE_CHECKING:
    from common.security.tokens import Verifier
    from holdfast.control.faults import Fault, Faults

MAX_BODY_BYTES = 4096
_FROM_A_BROWSER = ("Origin", "Sec-Fetch-Site")
router = APIRouter(prefix="/api/v1/control")


class FaultRequest(BaseModel):
    """The fault, its duration, and its target process if there is a choice."""

    model_config = ConfigDict(extra="forbid")

    fault: Annotated[str, Field(max_length=100)]
    target: Annotated[str, Field(max_length=100)] = ""
    seconds: Annotated[float, Field(ge=MIN_SECONDS, le=MAX_SECONDS)] = 60


@dataclass(frozen=True, slots=True)
class Resources:
    """The resources of the routes."""

    faults: Faults
    injection: Injection
    run: AuditRun
    verifier: Verifier


@dataclass(frozen=True, slots=True)
class Operator:
    """The operator, and the token."""

    id: str
    token: str


class RefusedError(HTTPException):
    """A problem with its code."""

    def __init__(self, status: HTTPStatus, code: str, detail: str) -> None:
        super().__init__(status, detail)
        self.code = code


def create_app(resources: Resources) -> FastAPI:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.resources = resources
    app.add_exception_handler(HTTPException, _problem)
    app.add_exception_handler(RequestValidationError, _problem)
    app.add_api_route("/livez", lambda: {"status": "ok"})
    app.include_router(router)
    return app


def _resources(request: Request) -> Resources:
    return cast("Resources", request.app.state.resources)


def _operator(request: Request) -> Operator:
    if any(name in request.headers for name in _FROM_A_BROWSER):
        raise RefusedError(HTTPStatus.FORBIDDEN, "from_a_browser", "Browsers use the console")
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise RefusedError(HTTPStatus.UNAUTHORIZED, "unauthenticated", "Send an operator's token")
    try:
        caller = _resources(request).verifier.verify(token.strip())
    except Unauthenticated as error:
        raise RefusedError(HTTPStatus.UNAUTHORIZED, error.code, str(error)) from None
    except Unavailable:
        text = "Tokens cannot be verified: the users service has not answered yet"
        raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "no_keys", text) from None
    if not caller.is_operator:
        raise RefusedError(HTTPStatus.FORBIDDEN, "forbidden", "Only operators may do this")
    return Operator(caller.id, token.strip())


def _bounded(request: Request) -> None:
    length = request.headers.get("Content-Length", "0")
    if not length.isdecimal() or int(length) > MAX_BODY_BYTES or "Transfer-Encoding" in request.headers:
        raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", "The body is too large")


Known = Annotated[Resources, Depends(_resources)]
Caller = Annotated[Operator, Depends(_operator)]


@router.get("")
def show(known: Known, _: Caller) -> dict[str, Any]:
    """Available faults, the active one, past acts, and the audit."""
    faults = [_shown(fault, known.faults) for fault in known.faults]
    return {
        "faults": faults, "active": known.injection.active, "acts": known.injection.acts, "audit": known.run.state
    }  # fmt: skip


@router.post("/faults", status_code=HTTPStatus.CREATED, dependencies=[Depends(_bounded)])
def inject(body: FaultRequest, known: Known, caller: Caller) -> dict[str, Any]:
    """Inject a fault for `seconds` at most."""
    fault = known.faults.known.get(body.fault)
    if fault is None or not known.faults.is_available(fault):
        raise RefusedError(HTTPStatus.NOT_FOUND, "no_such_fault", "There is no such fault here")
    if body.target not in (fault.targets or ("",)):
        raise RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, "no_such_target", "This fault has no such target")
    try:
        known.injection.start(fault, body.target, body.seconds, caller.id)
    except FaultActiveError:
        text = "Another fault is active: undo it first, or wait until it ends"
        raise RefusedError(HTTPStatus.CONFLICT, "fault_active", text) from None
    except FAILURES as error:
        raise RefusedError(HTTPStatus.CONFLICT, "not_injected", f"It could not be injected: {error}") from None
    return {"active": known.injection.active}


@router.post("/undo", dependencies=[Depends(_bounded)])
def undo(known: Known, caller: Caller) -> dict[str, Any]:
    """Undo the active fault, if any."""
    return {"undone": known.injection.undo(caller.id), "active": known.injection.active}


@router.post("/audits", status_code=HTTPStatus.ACCEPTED, dependencies=[Depends(_bounded)])
def start_audit(known: Known, caller: Caller) -> dict[str, Any]:
    """Start an audit with this operator's token."""
    try:
        known.run.start(caller.token, caller.id)
    except AuditRunningError:
        raise RefusedError(HTTPStatus.CONFLICT, "audit_running", "An audit is running") from None
    return {"audit": known.run.state}


def _shown(fault: Fault, faults: Faults) -> dict[str, Any]:
    return asdict(fault) | {"available": faults.is_available(fault)}


async def _problem(_request: Request, error: Exception) -> JSONResponse:
    """A problem document (RFC 9457)."""
    if isinstance(error, HTTPException):
        status, detail = HTTPStatus(error.status_code), str(error.detail)
        code = error.code if isinstance(error, RefusedError) else "refused"
    else:
        status, detail, code = HTTPStatus.UNPROCESSABLE_ENTITY, "Validation failed", "validation_failed"
    document = {"type": "about:blank", "title": status.phrase, "status": status, "code": code, "detail": detail}
    return JSONResponse(document, status, media_type="application/problem+json")
