"""The routes of the live service: check the caller and the cursor, then stream."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Header, Path, Request

from common.errors import Malformed, NotFound, Unauthenticated, Unavailable
from common.schemas import is_id
from services.live.documentation import STREAM_RESPONSES
from services.live.domain import Cursor, parse_cursor
from services.live.responses import EventStreamResponse
from services.live.stream import Stream

if TYPE_CHECKING:
    from common.security.tokens import Caller, Verifier
    from services.live.hub import Hub
    from services.live.limits import Limits
    from services.live.models import Archive

router = APIRouter(prefix="/api/v1")
LAST_EVENT_ID = Header(
    alias="Last-Event-ID",
    description="The id of the last received event: the stream resumes after it.",
)


@dataclass(frozen=True, slots=True)
class Resources:
    """The resources of the routes; the numbers are settings."""

    archive: Archive
    hub: Hub
    limits: Limits
    verifier: Verifier
    buffer: int
    heartbeat_seconds: float
    send_seconds: float


@router.get("/orders/events", responses=STREAM_RESPONSES, response_class=EventStreamResponse, status_code=200)
async def stream_orders(request: Request, last_event_id: Annotated[str | None, LAST_EVENT_ID] = None) -> Any:
    """The events of all of the caller's orders (operators: of all orders), from now on or after `Last-Event-ID`."""
    caller, expires_at = await _caller(request)
    resources = _resources(request)
    cursor = await _cursor(resources, last_event_id)
    after = Cursor(await resources.hub.catch_up()) if cursor is None else cursor
    return _open(resources, caller, expires_at, after, order_id=None, customer_id=caller.viewer_id)


@router.get(
    "/orders/{order_id}/events", responses=STREAM_RESPONSES, response_class=EventStreamResponse, status_code=200
)
async def stream_order(
    request: Request,
    order_id: Annotated[str, Path(description="the order")],
    last_event_id: Annotated[str | None, LAST_EVENT_ID] = None,
) -> Any:
    """The events of one order: from its first one, or after `Last-Event-ID`, and then live.

    The stream is available a moment after the order was accepted; until then, and for an order that is not yours, 404.
    """
    caller, expires_at = await _caller(request)
    if not is_id(order_id):
        raise NotFound("no such order")
    resources = _resources(request)
    after = await _cursor(resources, last_event_id) or Cursor(0)
    if not await resources.archive.is_order(order_id, caller.viewer_id):
        raise NotFound("no such order")
    return _open(resources, caller, expires_at, after, order_id=order_id, customer_id=None)


def _open(
    resources: Resources,
    caller: Caller,
    expires_at: float,
    after: Cursor,
    *,
    order_id: str | None,
    customer_id: str | None,
) -> EventStreamResponse:
    resources.limits.enter(caller.id)
    stream = Stream(after, order_id=order_id, customer_id=customer_id, limit=resources.buffer)
    frames = stream.frames(
        resources.hub, resources.archive, expires_at=expires_at, heartbeat_seconds=resources.heartbeat_seconds
    )

    def leave() -> None:
        resources.hub.unsubscribe(stream)
        resources.limits.leave(caller.id)

    return EventStreamResponse(frames, send_seconds=resources.send_seconds, on_close=leave)


async def _caller(request: Request) -> tuple[Caller, float]:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("send a token: Authorization: Bearer ...")
    # In a thread, because it may fetch the keys.
    caller, expires_at = await asyncio.to_thread(_resources(request).verifier.verify_until, token.strip())
    request.state.caller_id = caller.id
    return caller, expires_at


async def _cursor(resources: Resources, given: str | None) -> Cursor | None:
    """The cursor after which the client resumes. Raises `Unavailable` while the archive is down."""
    if not resources.hub.is_up:
        raise Unavailable("the archive does not answer")
    if given is None or given == "":
        return None
    cursor = parse_cursor(given)
    if cursor is None:
        raise Malformed("Last-Event-ID is not an id of an event stream", code="invalid_last_event_id")
    # Another process may be ahead of this one and may have sent the id.
    if cursor.position > resources.hub.position and cursor.position > await resources.archive.last_position():
        raise Malformed(
            "Last-Event-ID is not known here: start without it and read the orders again", code="unknown_last_event_id"
        )
    return cursor


def _resources(request: Request) -> Resources:
    found: Resources = request.app.state.resources
    return found
