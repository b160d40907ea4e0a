"""Valid settings of mail servers and senders."""

from __future__ import annotations

import pytest
from marshmallow import ValidationError

from workers.mail.smtp_settings import check_sender, check_smtp_url, read_sender


@pytest.mark.parametrize(
    "url",
    ["smtp://127.0.0.1:8025", "smtp://[::1]:25", "smtps://shop%40example.com:p%2Fw@mail.example", "smtp+starttls://u:p@mail.example:2587/"],
)  # fmt: skip
def test_a_mail_server_url_is_parsed(url: str) -> None:
    check_smtp_url(url)


@pytest.mark.parametrize(
    "url",
    ["mail.example:25", "http://mail.example", "smtps://", "smtp://mail.example:99999", "smtp://mail.example/?tls=no",
     "smtp://shop:secret@mail.example"],
)  # fmt: skip
def test_other_urls_are_rejected_without_revealing_the_password(url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        check_smtp_url(url)
    assert "secret" not in str(caught.value)


def test_a_sender_has_an_address_and_an_optional_name() -> None:
    for value in ("orders@shop.example", "The Shop <orders@shop.example>"):
        check_sender(value)
        assert (read_sender(value).addr_spec, read_sender(value).domain) == ("orders@shop.example", "shop.example")


@pytest.mark.parametrize("value", ["shop", "Shop <orders>", "a@b\r\nBcc: c@d", "Läden <orders@shop.example>", "a b@c"])
def test_an_invalid_sender_is_rejected(value: str) -> None:
    with pytest.raises(ValidationError):
        check_sender(value)
