"""E-mails of the running system, received by its mail catcher."""

import os
import signal

import pytest
import requests

from infrastructure.local.stack import Stack
from tests.e2e.shop import DECLINED, Customer, Json, Shop, place
from tests.e2e.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def mails(stack: Stack, customer: Customer) -> list[Json]:
    """The customer's mails, newest first."""
    address = f"{customer.name}@example.com"
    reply = requests.get(f"{stack.urls.http('mail-catcher')}/mails", params={"to": address}, timeout=60)
    found: list[Json] = reply.json()
    return found


def test_a_customer_gets_a_mail_for_each_order(stack: Stack, shop: Shop, customer: Customer) -> None:
    sku = shop.product(price=123456)
    confirmed, cancelled = place(customer, {sku: 1}), place(customer, {sku: 1}, DECLINED)
    shop.ended(confirmed["id"], "confirmed")
    shop.ended(cancelled["id"], "cancelled", "payment_declined")
    found = eventually(lambda: mails(stack, customer), lambda seen: len(seen) == 2)
    texts = {mail["headers"]["Subject"]: mail["text"] for mail in found}
    assert confirmed["id"] in texts["Your order is confirmed"]
    assert "1,234.56 USD" in texts["Your order is confirmed"]
    assert cancelled["id"] in texts["Your order is cancelled"]
    assert "The payment was declined." in texts["Your order is cancelled"]
    entries = f"{shop.timeline(confirmed['id'])}{shop.timeline(cancelled['id'])}"
    assert f"{customer.name}@example.com" not in entries


def test_orders_continue_without_the_mail_server_and_mails_are_sent_later(
    stack: Stack, shop: Shop, customer: Customer
) -> None:
    sku = shop.product()
    [pid] = [each["pid"] for each in stack.status()["processes"] if each["name"] == "mail-catcher"]
    os.kill(pid, signal.SIGSTOP)
    try:
        orders = [place(customer, {sku: 1}) for _ in range(3)]
        for order in orders:
            shop.ended(order["id"], "confirmed")
    finally:
        os.kill(pid, signal.SIGCONT)
    found = eventually(lambda: mails(stack, customer), lambda seen: len(seen) >= len(orders))
    assert len({mail["headers"]["Message-ID"] for mail in found}) == len(found) == len(orders)
