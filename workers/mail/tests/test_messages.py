"""What a mail says, and that nothing from outside becomes a header."""

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


def read(mail: EmailMessage) -> EmailMessage:
    """As it arrives."""
    found: EmailMessage = message_from_bytes(mail.as_bytes(), policy=policy.default)
    return found


def text_of(mail: EmailMessage) -> str:
    return str(mail.get_content()).replace("\r\n", "\n")


def made(kind: str = "confirmed", contact: Contact | None = None, **changes: object) -> EmailMessage:
    contact = contact or Contact("johndoe", "john.doe@example.com")
    return read(make_mail(kind, ORDER | changes, contact, sender=SENDER, message_id="<1@shop.example>"))


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
def test_a_cancellation_says_why_and_that_nothing_is_charged(reason: str, text: str) -> None:
    mail = made("cancelled", reason=reason)
    assert mail["Subject"] == "Your order is cancelled"
    assert text_of(mail).endswith(
        f"is cancelled.\n{text}You are not charged. What was charged already is refunded in full.\n"
    )


@pytest.mark.parametrize(("amount", "text"), [(0, "0.00"), (5, "0.05"), (100, "1.00"), (99_999_999, "999,999.99")])
def test_amounts_are_in_whole_units_and_cents(amount: int, text: str) -> None:
    for currency in CURRENCIES:
        assert money({"amount": amount, "currency": currency}) == f"{text} {currency.upper()}"


def test_a_hostile_name_stays_in_the_text() -> None:
    mail = made(contact=Contact(HOSTILE, "john.doe@example.com"))
    assert set(mail.keys()) == HEADERS
    assert text_of(mail).startswith("Hello x  Bcc: victim@example.com    <b>you won</b>,\n")
    assert mail.get_content_type() == "text/plain"


def test_a_name_in_another_script_arrives_as_it_is() -> None:
    assert text_of(made(contact=Contact("Жанна", "j@example.com"))).startswith("Hello Жанна,\n")


@pytest.mark.parametrize("address", ["a@b.example\r\nBcc: victim@example.com", "a@b.example, c@d.example", "nobody"])
def test_what_is_no_single_address_is_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(InvalidAddressError) as caught:
        made(contact=Contact("x", address))
    assert address not in repr(caught.value)
    assert caught.value.__suppress_context__
