"""Past events of a stream from the archive, in the order in which the hub would have dispatched them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.live.domain import customer_messages, message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from services.live.domain import Message, Owner
    from services.live.models import Archive
    from services.live.stream import Stream

    Document = dict[str, Any]


async def history(archive: Archive, stream: Stream, up_to: int) -> AsyncIterator[list[Message]]:
    """The messages after the stream's cursor up to a position, page by page; no page is empty."""
    of_customer = stream.order_id is None and stream.customer_id is not None
    owners = await archive.orders_of(stream.customer_id or "") if of_customer else {}
    order_ids = owners.keys() if of_customer else None if stream.order_id is None else [stream.order_id]
    # One position back: further events with the cursor's own position may follow.
    position = stream.cursor.position - 1 if of_customer else stream.cursor.position
    while documents := await archive.of_orders(order_ids, position, up_to):
        position = documents[-1]["position"]
        found = await _of_customer(archive, documents, owners) if of_customer else [message(each) for each in documents]
        if page := [each for each in found if each.cursor > stream.cursor]:
            yield page


async def _of_customer(archive: Archive, documents: list[Document], owners: dict[str, Owner]) -> list[Message]:
    placed = {each["orderid"]: each["position"] for each in documents if "customer_id" in each}
    early: dict[str, list[Document]] = {}
    for document in await archive.before(placed):
        early.setdefault(document["orderid"], []).append(document)
    messages: list[Message] = []
    for document in documents:
        order_id = document["orderid"]
        messages += customer_messages(document, owners.get(order_id), early.get(order_id, []))
    return messages
