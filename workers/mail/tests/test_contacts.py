"""What the users service answers, and what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from common.tests.ports import free_port
from workers.mail.contacts import Contact, Contacts, UsersUnavailableError
from workers.mail.messages import InvalidAddressError
from workers.mail.tests.catching import ADDRESS, CUSTOMER

if TYPE_CHECKING:
    from collections.abc import Callable

    from workers.mail.tests.catching import Users

NOBODY = "01928f6d-11aa-7c21-8d43-5b7e9f00c2ff"


def test_it_is_the_address_of_now(users: Users, make_contacts: Callable[..., Contacts]) -> None:
    contacts = make_contacts(users.url)
    assert contacts.get(CUSTOMER) == Contact("johndoe", ADDRESS)
    users.contacts[CUSTOMER] = {"username": "johndoe", "email": "new@shop.example", "more": 1}
    assert contacts.get(CUSTOMER) == Contact("johndoe", "new@shop.example")
    assert contacts.get(NOBODY) is None


def test_nothing_shows_an_address() -> None:
    assert repr(Contact("johndoe", ADDRESS)) == "Contact()"


@pytest.mark.parametrize("status", [301, 401, 403, 429, 500, 503])
def test_what_is_no_answer_is_an_outage(users: Users, make_contacts: Callable[..., Contacts], status: int) -> None:
    users.status = status
    contacts = make_contacts(users.url)
    with pytest.raises(UsersUnavailableError, match=str(status)):
        contacts.get(CUSTOMER)
    with pytest.raises(UsersUnavailableError, match=str(status)):
        contacts.probe()


def test_a_wrong_credential_is_an_outage(users: Users, make_contacts: Callable[..., Contacts]) -> None:
    with pytest.raises(UsersUnavailableError, match="401"):
        make_contacts(users.url, contact_tokens="w" * 32).probe()


def test_nobody_there_is_an_outage(make_contacts: Callable[..., Contacts]) -> None:
    with pytest.raises(UsersUnavailableError):
        make_contacts(f"http://127.0.0.1:{free_port()}").probe()


def test_the_probe_asks_for_nobody(users: Users, make_contacts: Callable[..., Contacts]) -> None:
    make_contacts(users.url).probe()
    assert CUSTOMER not in users.requests


@pytest.mark.parametrize(
    "body",
    ["", "[]", "{", {}, {"username": "x"}, {"username": "x", "email": None}, {"username": "x", "email": ""},
     {"username": "x", "email": f"{ADDRESS}\r\nBcc: victim@example.com"}, {"username": "x", "email": f"{ADDRESS}>"}],
)  # fmt: skip
def test_what_is_no_address_is_refused_and_not_repeated(
    users: Users, make_contacts: Callable[..., Contacts], body: Any
) -> None:
    users.contacts[CUSTOMER] = body
    with pytest.raises(InvalidAddressError) as caught:
        make_contacts(users.url).get(CUSTOMER)
    assert ADDRESS not in repr(caught.value)
    assert caught.value.__suppress_context__


def test_a_reply_is_bounded(users: Users, make_contacts: Callable[..., Contacts]) -> None:
    users.contacts[CUSTOMER] = {"username": "x", "email": ADDRESS, "more": "x" * 100_000}
    with pytest.raises(UsersUnavailableError, match="too large"):
        make_contacts(users.url).get(CUSTOMER)
