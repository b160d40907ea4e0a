"""The mail worker's event handlers: one mail to the customer, sent once as far as SMTP allows."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.errors import HoldfastError, Transient
from common.messaging.events import read
from common.resilience.crash_points import crash_point
from workers.mail.mail_server import MailDeferredError, MailRefusedError
from workers.mail.messages import InvalidAddressError, make_mail
from workers.mail.metrics import MAILS
from workers.mail.schemas import OrderCancelled, OrderConfirmed
from workers.mail.sent_mails import Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from common.messaging.inbox import Delivery
    from workers.mail.contacts import Contacts
    from workers.mail.mail_server import MailServer
    from workers.mail.sent_mails import Claim, SentMails

_ORDER_CONFIRMED, _ORDER_CANCELLED = OrderConfirmed(), OrderCancelled()
_OUTCOMES: dict[type[Exception], str] = {
    MailDeferredError: "deferred",
    MailRefusedError: "refused",
    InvalidAddressError: "refused",
}


@dataclass(frozen=True, slots=True)
class Resources:
    """The store of sent mails, the source of addresses, and the mail server."""

    sent: SentMails
    contacts: Contacts
    server: MailServer


def mail_confirmation(delivery: Delivery, resources: Resources | None) -> None:
    _mail("confirmed", delivery, read(_ORDER_CONFIRMED, delivery.event), resources)


def mail_cancellation(delivery: Delivery, resources: Resources | None) -> None:
    _mail("cancelled", delivery, read(_ORDER_CANCELLED, delivery.event), resources)


def _mail(kind: str, delivery: Delivery, order: Mapping[str, Any], resources: Resources | None) -> None:
    if resources is None:
        MAILS.labels(kind, "off").inc()
        return
    event_id = delivery.event.id
    claim = resources.sent.claim(
        # Not only by event id: a republished event with another id must not send a second mail.
        f"{order['order_id']}/{kind}",
        event_id=event_id,
        message_id=f"<{event_id}@{resources.server.sender.domain}>",
    )
    try:
        status = _send(kind, order, claim, resources)
    except Exception as error:
        if outcome := _OUTCOMES.get(type(error)):
            MAILS.labels(kind, outcome).inc()
        with suppress(Exception):  # then its lease expires
            resources.sent.release(claim, str(error)[:200])
        raise
    crash_point("mail.sent")
    resources.sent.finish(claim, status)
    MAILS.labels(kind, status.value).inc()


def _send(kind: str, order: Mapping[str, Any], claim: Claim, resources: Resources) -> Status:
    contact = resources.contacts.get(order["customer_id"])
    if contact is None:
        return Status.NO_ADDRESS
    try:
        mail = make_mail(kind, order, contact, sender=resources.server.sender, message_id=claim.message_id)
        resources.server.send(mail, contact.email)
    except HoldfastError:
        raise
    except Exception as error:  # noqa: BLE001 - a text of Python's own might repeat the address
        message = f"the mail could not be created or sent: {type(error).__name__}"
        raise Transient(message) from None
    return Status.SENT


HANDLERS = {
    "order.cancelled.v1": mail_cancellation,
    "order.confirmed.v1": mail_confirmation,
}
