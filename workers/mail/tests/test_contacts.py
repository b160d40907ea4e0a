"""Replies of the users service, and their effects."""

from __future__ import annotations

import json
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from common.messaging.events import new_id
from common.tests.ports import free_port
from workers.mail import contacts as contacts_module
from workers.mail.contacts import MAX_USERS, Contact, Contacts, UsersUnavailableError
from workers.mail.messages import InvalidAddressError
from workers.mail.tests.catching import ADDRESS, CUSTOMER

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.server import BaseHTTPRequestHandler

    from workers.mail.tests.catching import Users

NOBODY = "01928f6d-11aa-7c21-8d43-5b7e9f00c2ff"
OTHER_CUSTOMER = "01928f6d-11aa-7c21-8d43-5b7e9f00c2ee"
KNOWN = Contact("johndoe", ADDRESS)


def test_the_current_address_is_returned(users: Users, make_contacts: Callable[..., Contacts]) -> None:
    contacts = make_contacts(users.url)
    assert contacts.get(CUSTOMER) == Contact("johndoe", ADDRESS)
    users.contacts[CUSTOMER] = {"username": "johndoe", "email": "new@shop.example", "more": 1}
    assert contacts.get(CUSTOMER) == Contact("johndoe", "new@shop.example")
    assert contacts.get(NOBODY) is None


def test_no_representation_reveals_an_address() -> None:
    assert repr(Contact("johndoe", ADDRESS)) == "Contact()"


@pytest.mark.parametrize("status", [301, 401, 403, 429, 500, 503])
def test_an_invalid_response_is_an_outage(users: Users, make_contacts: Callable[..., Contacts], status: int) -> None:
    users.status = status
    contacts = make_contacts(users.url)
    with pytest.raises(UsersUnavailableError, match=str(status)):
        contacts.get(CUSTOMER)
    with pytest.raises(UsersUnavailableError, match=str(status)):
        contacts.probe()


def test_a_wrong_credential_is_an_outage(users: Users, make_contacts: Callable[..., Contacts]) -> None:
    with pytest.raises(UsersUnavailableError, match="401"):
        make_contacts(users.url, contact_tokens="w" * 32).probe()


def test_an_unreachable_server_is_an_outage(make_contacts: Callable[..., Contacts]) -> None:
    with pytest.raises(UsersUnavailableError):
        make_contacts(f"http://127.0.0.1:{free_port()}").probe()


def test_the_probe_requests_an_unknown_user(users: Users, make_contacts: Callable[..., Contacts]) -> None:
    make_contacts(users.url).probe()
    assert CUSTOMER not in users.requests


@pytest.mark.parametrize(
    "body",
    ["", "[]", "{", {}, {"username": "x"}, {"username": "x", "email": None}, {"username": "x", "email": ""},
     {"username": "x", "email": f"{ADDRESS}\r\nBcc: victim@example.com"}, {"username": "x", "email": f"{ADDRESS}>"}],
)  # fmt: skip
def test_an_invalid_address_is_rejected_and_not_revealed(
    users: Users, make_contacts: Callable[..., Contacts], body: Any
) -> None:
    users.contacts[CUSTOMER] = body
    with pytest.raises(InvalidAddressError) as caught:
        make_contacts(users.url).get(CUSTOMER)
    assert ADDRESS not in repr(caught.value)
    assert caught.value.__suppress_context__


def test_the_size_of_a_reply_is_bounded(users: Users, make_contacts: Callable[..., Contacts]) -> None:
    users.contacts[CUSTOMER] = {"username": "x", "email": ADDRESS, "more": "x" * 100_000}
    with pytest.raises(UsersUnavailableError, match="too large"):
        make_contacts(users.url).get(CUSTOMER)


def test_lookups_reuse_a_connection(users: Users, make_contacts: Callable[..., Contacts]) -> None:
    contacts = make_contacts(users.url)
    for user in (CUSTOMER, NOBODY, CUSTOMER):
        contacts.get(user)
    contacts.probe()
    assert len(users.connections) == 1


def test_a_service_restart_between_two_lookups_is_not_an_outage(
    users: Users, make_contacts: Callable[..., Contacts]
) -> None:
    contacts = make_contacts(users.url)
    contacts.get(CUSTOMER)
    users.hang_up()
    assert contacts.get(CUSTOMER) == KNOWN


def test_an_idle_connection_is_closed(
    users: Users, make_contacts: Callable[..., Contacts], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contacts_module, "KEPT_SECONDS", 0.0)
    contacts = make_contacts(users.url)
    assert [contacts.get(CUSTOMER) for _ in range(2)] == [KNOWN] * 2
    assert len(users.connections) == 2


def test_a_kept_connection_closed_during_the_next_lookup_is_not_an_outage(
    users: Users, make_contacts: Callable[..., Contacts]
) -> None:
    contacts = make_contacts(users.url)
    contacts.get(CUSTOMER)
    users.trouble = hang_up
    assert contacts.get(CUSTOMER) == KNOWN
    assert len(users.connections) == 2


def test_a_closed_new_connection_is_an_outage(users: Users, make_contacts: Callable[..., Contacts]) -> None:
    users.trouble = hang_up
    with pytest.raises(UsersUnavailableError, match="RemoteDisconnected"):
        make_contacts(users.url).get(CUSTOMER)
    assert len(users.requests) == 1


def test_an_incomplete_reply_is_an_outage(users: Users, make_contacts: Callable[..., Contacts]) -> None:
    def stop_in_the_middle(request: BaseHTTPRequestHandler, content: bytes) -> None:
        request.wfile.write(head(len(content)) + content[:-5])
        hang_up(request, content)

    users.trouble = stop_in_the_middle
    with pytest.raises(UsersUnavailableError, match="incomplete"):
        make_contacts(users.url).get(CUSTOMER)


@pytest.mark.parametrize("is_late", [True, False])
def test_a_reply_never_answers_the_next_lookup(
    users: Users, make_contacts: Callable[..., Contacts], is_late: bool
) -> None:
    """Otherwise a mail could be sent to another customer."""
    sent = threading.Event()

    def answer_late(request: BaseHTTPRequestHandler, content: bytes) -> None:
        sent.wait(60)
        request.wfile.write(head(len(content)) + content)

    def answer_twice(request: BaseHTTPRequestHandler, content: bytes) -> None:
        request.wfile.write(head(len(content)) + content)
        time.sleep(0.1)
        request.wfile.write(head(len(content)) + content)
        sent.set()

    contacts = make_contacts(users.url)
    contacts.get(CUSTOMER)
    users.contacts[NOBODY] = {"username": "other", "email": "other@shop.example"}
    users.trouble = answer_late if is_late else answer_twice
    if is_late:
        contacts._kept[-1][1].sock.settimeout(1)  # of this lookup alone: the others may take longer on a busy machine
        with pytest.raises(UsersUnavailableError, match="Timeout"):
            contacts.get(CUSTOMER)
        sent.set()
    else:
        contacts.get(CUSTOMER)
        assert sent.wait(60)
    assert contacts.get(NOBODY) == Contact("other", "other@shop.example")


def test_a_connection_close_header_ends_the_connection(users: Users, make_contacts: Callable[..., Contacts]) -> None:
    def answer_and_close(request: BaseHTTPRequestHandler, content: bytes) -> None:
        request.wfile.write(head(len(content), "Connection: close") + content)
        hang_up(request, content)

    contacts = make_contacts(users.url)
    users.trouble = answer_and_close
    assert [contacts.get(CUSTOMER) for _ in range(2)] == [KNOWN] * 2


OTHER = {"username": "other", "email": "other@shop.example"}


def test_several_users_are_read_with_one_request(users: Users, make_contacts: Callable[..., Contacts]) -> None:
    users.contacts[OTHER_CUSTOMER] = OTHER
    contacts = make_contacts(users.url)
    found = contacts.get_several([CUSTOMER, NOBODY, OTHER_CUSTOMER, CUSTOMER])
    assert found == {CUSTOMER: KNOWN, NOBODY: None, OTHER_CUSTOMER: Contact(**OTHER)}
    assert contacts.get(CUSTOMER) == KNOWN
    assert users.lookups == [sorted([CUSTOMER, NOBODY, OTHER_CUSTOMER])]
    assert len(users.connections) == 1


def test_an_earlier_version_without_the_route_returns_no_contacts(
    users: Users, make_contacts: Callable[..., Contacts]
) -> None:
    users.has_several = False
    assert make_contacts(users.url).get_several([CUSTOMER, NOBODY]) == {}


@pytest.mark.parametrize("body", [{"username": "x"}, {"username": "x", "email": f"{ADDRESS}\r\nBcc: v@example.com"}])
def test_a_malformed_contact_among_several_is_omitted(
    users: Users, make_contacts: Callable[..., Contacts], body: Any
) -> None:
    users.contacts[OTHER_CUSTOMER] = body
    assert make_contacts(users.url).get_several([CUSTOMER, OTHER_CUSTOMER]) == {CUSTOMER: KNOWN}


@pytest.mark.parametrize(
    "entries",
    [1, [1], [{}], [{"username": "x", "email": ADDRESS}], [{"user_id": [], "username": "x", "email": ADDRESS}],
     [{"user_id": OTHER_CUSTOMER, "username": "x", "email": ADDRESS}]],
)  # fmt: skip
def test_a_reply_without_user_ids_is_ignored(
    users: Users, make_contacts: Callable[..., Contacts], entries: Any
) -> None:
    """Otherwise a user could be taken for missing, and the mail would be dropped."""
    users.several = json.dumps({"contacts": entries}).encode()
    assert make_contacts(users.url).get_several([CUSTOMER, NOBODY]) == {}


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"contacts": null}', b'{"more": []}'])
def test_a_malformed_reply_about_several_users_is_ignored(
    users: Users, make_contacts: Callable[..., Contacts], body: bytes
) -> None:
    users.several = body
    assert make_contacts(users.url).get_several([CUSTOMER]) == {}


@pytest.mark.parametrize("status", [301, 401, 403, 413, 422, 429, 500, 503])
def test_no_reply_about_several_users_is_an_outage(
    users: Users, make_contacts: Callable[..., Contacts], status: int
) -> None:
    users.status = status
    with pytest.raises(UsersUnavailableError, match=str(status)):
        make_contacts(users.url).get_several([CUSTOMER])


def test_a_reply_about_the_maximum_number_of_users_is_accepted(
    users: Users, make_contacts: Callable[..., Contacts]
) -> None:
    user_ids = [new_id() for _ in range(MAX_USERS)]
    longest = {"username": "n" * 50, "email": f"{'a' * 64}@{'b' * 63}.{'c' * 63}.{'d' * 61}"}
    assert len(longest["email"]) == 254
    users.contacts |= dict.fromkeys(user_ids, longest)
    assert make_contacts(users.url).get_several(user_ids) == dict.fromkeys(user_ids, Contact(**longest))


def head(length: int, *lines: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", f"Content-Length: {length}", *lines, "", ""]).encode()


def hang_up(request: BaseHTTPRequestHandler, _content: bytes) -> None:
    request.close_connection = True
    request.connection.shutdown(socket.SHUT_RDWR)
