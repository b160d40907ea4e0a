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
from workers.mail.sent_mails import NewMail, Status

if TYPE_CHECKING:
    from collections.abc import Mapping
    from threading import Semaphore

    from common.messaging.events import Event
    from common.messaging.inbox import Delivery
    from workers.mail.contacts import Contact, Contacts
    from workers.mail.mail_server import MailServer
    from workers.mail.sent_mails import Claim, SentMails

# Created once: creating a schema costs more than reading with it.
_KINDS = {
    "order.cancelled.v1": ("cancelled", OrderCancelled()),
    "order.confirmed.v1": ("confirmed", OrderConfirmed()),
}
_OUTCOMES: dict[type[Exception], str] = {
    MailDeferredError: "deferred",
    MailRefusedError: "refused",
    InvalidAddressError: "refused",
}


@dataclass(frozen=True, slots=True)
class Resources:
    """The store of sent mails, the source of addresses, and the mail server.

    `in_hand` limits the mails in progress: hold it to send and record one mail.
    """

    sent: SentMails
    contacts: Contacts
    server: MailServer
    in_hand: Semaphore


@dataclass(frozen=True, slots=True)
class OrderMail:
    """The mail that an event is about: `kind` is `confirmed` or `cancelled`."""

    kind: str
    event_id: str
    order: Mapping[str, Any]

    def to_claim(self, resources: Resources) -> NewMail:
        # Not only by event id: a republished event with another id must not send a second mail.
        mail_id = f"{self.order['order_id']}/{self.kind}"
        message_id = f"<{self.event_id}@{resources.server.sender.domain}>"
        return NewMail(id=mail_id, event_id=self.event_id, message_id=message_id)


def mail_customer(delivery: Delivery, resources: Resources | None) -> None:
    mail = read_mail(delivery.event)
    if resources is None:
        drop(mail)
        return
    with resources.in_hand:  # before the claim: its lease does not wait
        _send_alone(mail, resources)


def _send_alone(mail: OrderMail, resources: Resources) -> None:
    claim = resources.sent.claim(mail.to_claim(resources))
    try:
        status = send(mail, claim, resources)
    except Exception as error:
        if outcome := _OUTCOMES.get(type(error)):
            MAILS.labels(mail.kind, outcome).inc()
        with suppress(Exception):  # then its lease expires
            resources.sent.release([claim], str(error)[:200])
        raise
    record(mail, claim, status, resources)


def read_mail(event: Event) -> OrderMail:
    """Raises `InvalidEventError`."""
    kind, schema = _KINDS[event.type]
    return OrderMail(kind, event.id, read(schema, event))


def drop(mail: OrderMail) -> None:
    """There is no mail server."""
    MAILS.labels(mail.kind, "off").inc()


def send(
    mail: OrderMail, claim: Claim, resources: Resources, known: Mapping[str, Contact | None] | None = None
) -> Status:
    """Send a claimed mail, to the address in `known`, or else to that of the users service."""
    try:
        customer_id = mail.order["customer_id"]
        contact = known[customer_id] if known and customer_id in known else resources.contacts.get(customer_id)
        if contact is None:
            return Status.NO_ADDRESS
        content = make_mail(mail.kind, mail.order, contact, sender=resources.server.sender, message_id=claim.message_id)
        resources.server.send(content, contact.email)
    except HoldfastError:
        raise
    except Exception as error:  # noqa: BLE001 - a text of Python's own might repeat the address
        message = f"the mail could not be created or sent: {type(error).__name__}"
        raise Transient(message) from None
    return Status.SENT


def record(mail: OrderMail, claim: Claim, status: Status, resources: Resources) -> None:
    """A crash before the end of this sends the mail again."""
    crash_point("mail.sent")
    resources.sent.finish(claim, status)
    MAILS.labels(mail.kind, status.value).inc()


HANDLERS = {
    "order.cancelled.v1": mail_customer,
    "order.confirmed.v1": mail_customer,
}
