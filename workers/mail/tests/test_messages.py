"""The text of a mail, and that external values cannot add headers."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.headerregistry import Address
from typing import TYPE_CHECKING

import pytest

from common.schemas import CURRENCIES
from workers.mail.contacts import Contact
from workers.mail.messages import InvalidAddressError, make_mail, money

if TYPE_CHECKING:
    from email.message import EmailMessage

SENDER = Address("Shop", addr_spec="orders@shop.example")
ORDER = {"order_id": "01928f6e-7c1a-7b30-9a55-3c1d0e5f7a10", "total": {"amount": 464805, "currency": "usd"}}
HOSTILE = "x\r\nBcc: victim@example.com\r\n\r\n<b>you won</b>"
HEADERS = {
    "Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted", "Content-Type", "Content-Transfer-Encoding",
    "MIME-Version",
}  # fmt: skip


def text_of(mail: EmailMessage) -> str:
    return str(mail.get_content()).replace("\r\n", "\n")


def made(kind: str = "confirmed", contact: Contact | None = None, **changes: object) -> EmailMessage:
    contact = contact or Contact("johndoe", "john.doe@example.com")
    content = make_mail(kind, ORDER | changes, contact, sender=SENDER, message_id="<1@shop.example>")
    assert content.replace(b"\r\n", b"").isascii()
    assert b"\n" not in content.replace(b"\r\n", b"")
    found: EmailMessage = message_from_bytes(content, policy=policy.default)
    assert not found.defects
    return found


def test_a_confirmation_names_the_order_and_its_total() -> None:
    mail = made()
    assert set(mail.keys()) == HEADERS
    assert (mail["From"], mail["To"]) == ("Shop <orders@shop.example>", "john.doe@example.com")
    assert (mail["Subject"], mail["Message-ID"]) == ("Your order is confirmed", "<1@shop.example>")
    assert text_of(mail) == (
        "Hello johndoe,\n\nyour order 01928f6e-7c1a-7b30-9a55-3c1d0e5f7a10 is confirmed.\nTotal: 4,648.05 USD\n"
    )


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("out_of_stock", "Something in it is out of stock.\n"),
        ("payment_declined", "The payment was declined.\n"),
        ("customer_request", "You cancelled it.\n"),
        ("timed_out", "It could not be completed in time.\n"),
        ("a_reason_of_tomorrow", ""),
    ],
)
def test_a_cancellation_names_its_reason_and_that_nothing_is_charged(reason: str, text: str) -> None:
    mail = made("cancelled", reason=reason)
    assert mail["Subject"] == "Your order is cancelled"
    assert text_of(mail).endswith(
        f"is cancelled.\n{text}You are not charged. What was charged already is refunded in full.\n"
    )


@pytest.mark.parametrize(("amount", "text"), [(0, "0.00"), (5, "0.05"), (100, "1.00"), (99_999_999, "999,999.99")])
def test_amounts_have_two_decimals(amount: int, text: str) -> None:
    for currency in CURRENCIES:
        assert money({"amount": amount, "currency": currency}) == f"{text} {currency.upper()}"


def test_a_malicious_name_stays_in_the_text() -> None:
    mail = made(contact=Contact(HOSTILE, "john.doe@example.com"))
    assert set(mail.keys()) == HEADERS
    assert text_of(mail).startswith("Hello x  Bcc: victim@example.com    <b>you won</b>,\n")
    assert mail.get_content_type() == "text/plain"


def test_a_non_ascii_name_is_preserved() -> None:
    assert text_of(made(contact=Contact("Жанна", "j@example.com"))).startswith("Hello Жанна,\n")


@pytest.mark.parametrize(
    "address",
    ["a@b.example\r\nBcc: victim@example.com", "a@b.example\n", "a@b.example, c@d.example", "nobody", "a@b@c.example",
     "Жанна@b.example", "a..b@c.example", "a@b..example", "=?utf-8?q?a=40b.example?=@c.example", "<a@b.example>"],
)  # fmt: skip
def test_an_invalid_address_is_rejected_and_not_revealed(address: str) -> None:
    with pytest.raises(InvalidAddressError) as caught:
        made(contact=Contact("x", address))
    assert address not in repr(caught.value)
    assert caught.value.__context__ is None
