"""The e-mails: plain text, one recipient. The only external value in a header is a validated address."""

from __future__ import annotations

import base64
import re
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from common.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping
    from email.headerregistry import Address

    from workers.mail.contacts import Contact

MAX_NAME_CHARACTERS = 50
# The addresses that users may have (`schemas.ADDRESS`), without those that RFC 5322 would want in quotes.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_ADDRESS = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")
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


def make_mail(kind: str, order: Mapping[str, Any], contact: Contact, *, sender: Address, message_id: str) -> bytes:
    """The mail about an order that is `confirmed` or `cancelled`. Raises `InvalidAddressError`.

    Written line by line: `EmailMessage` parses each header that it is given, for twenty times the processor time.
    """
    charset, encoding, body = _encode(_text(kind, order, contact.username))
    headers = {
        "Subject": _SUBJECTS[kind],
        "From": str(sender),
        "To": _recipient(contact.email),
        "Date": formatdate(),
        "Message-ID": message_id,
        "Auto-Submitted": "auto-generated",  # RFC 3834: prevents automatic replies
        "Content-Type": f'text/plain; charset="{charset}"',
        "Content-Transfer-Encoding": encoding,
        "MIME-Version": "1.0",
    }
    if not all(value.isascii() and value.isprintable() for value in headers.values()):
        raise ValueError("a header of the mail has more than one line, or is not ASCII")
    lines = [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def money(total: Mapping[str, Any]) -> str:
    """19.99 USD of {"amount": 1999, "currency": "usd"}. Every supported currency has cents."""
    units, cents = divmod(total["amount"], 100)
    return f"{units:,}.{cents:02d} {total['currency'].upper()}"


def _recipient(address: str) -> str:
    if not _ADDRESS.fullmatch(address) or "=?" in address:  # an encoded word (RFC 2047) is shown as something else
        raise InvalidAddressError("the customer's e-mail address is not valid in a mail")
    return address


def _encode(text: str) -> tuple[str, str, bytes]:
    """Charset, transfer encoding and body. Every server accepts ASCII; only some accept unencoded UTF-8."""
    body = text.replace("\n", "\r\n").encode()
    if body.isascii():
        return "us-ascii", "7bit", body
    return "utf-8", "base64", base64.encodebytes(body).replace(b"\n", b"\r\n")


def _text(kind: str, order: Mapping[str, Any], username: str) -> str:
    name = "".join(each if each.isprintable() else " " for each in username[:MAX_NAME_CHARACTERS])
    lines = [f"Hello {name},", "", f"your order {order['order_id']} is {kind}."]
    if kind == "confirmed":
        lines.append(f"Total: {money(order['total'])}")
    else:
        lines += [_REASONS.get(order["reason"], ""), _NOT_CHARGED]
    return "\n".join(line for number, line in enumerate(lines) if line or number == 1) + "\n"
