"""The e-mails: plain text, one recipient. The only external value in a header is a validated address."""

from __future__ import annotations

from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from common.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workers.mail.contacts import Contact

MAX_NAME_CHARACTERS = 50
_SUBJECTS = {"confirmed": "Your order is confirmed", "cancelled": "Your order is cancelled"}
_REASONS = {
    "out_of_stock": "Something in it is out of stock.",
    "payment_declined": "The payment was declined.",
    "customer_request": "You cancelled it.",
    "timed_out": "It could not be completed in time.",
}
_NOT_CHARGED = "You are not charged. What was charged already is refunded in full."


class InvalidAddressError(Rejected):
    """The customer's address is not valid in a mail. The error does not contain it."""

    code = "invalid_address"


def make_mail(
    kind: str, order: Mapping[str, Any], contact: Contact, *, sender: Address, message_id: str
) -> EmailMessage:
    """The mail about an order that is `confirmed` or `cancelled`. Raises `InvalidAddressError`."""
    mail = EmailMessage(policy=policy.SMTP)
    mail["Subject"] = _SUBJECTS[kind]
    mail["From"] = sender
    mail["To"] = _recipient(contact.email)
    mail["Date"] = formatdate()
    mail["Message-ID"] = message_id
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: prevents automatic replies
    mail.set_content(_text(kind, order, contact.username))
    return mail


def money(total: Mapping[str, Any]) -> str:
    """19.99 USD of {"amount": 1999, "currency": "usd"}. Every supported currency has cents."""
    units, cents = divmod(total["amount"], 100)
    return f"{units:,}.{cents:02d} {total['currency'].upper()}"


def _recipient(address: str) -> Address:
    try:
        return Address(addr_spec=address)
    except Exception:  # noqa: BLE001 - whatever the parser says, it may repeat the address
        raise InvalidAddressError("the customer's e-mail address is not valid in a mail") from None


def _text(kind: str, order: Mapping[str, Any], username: str) -> str:
    name = "".join(each if each.isprintable() else " " for each in username[:MAX_NAME_CHARACTERS])
    lines = [f"Hello {name},", "", f"your order {order['order_id']} is {kind}."]
    if kind == "confirmed":
        lines.append(f"Total: {money(order['total'])}")
    else:
        lines += [_REASONS.get(order["reason"], ""), _NOT_CHARGED]
    return "\n".join(line for number, line in enumerate(lines) if line or number == 1) + "\n"
