"""The mail server, by SMTP: the only file that calls it.

Guarantees: a whole session has a time-out; no error contains an address, or the server's text, which may repeat it.

| response of the server                                           | result |
|------------------------------------------------------------------|----|
| none, malformed, no greeting, no TLS, login failed, 421, any 4.3.x | an outage |
| sender rejected, with any code: it affects every mail            | an outage |
| 4xx to the recipient or the mail (greylisting, a full mailbox)   | `MailDeferredError`: later |
| 5xx to the recipient or the mail                                 | `MailRefusedError`: a dead letter |
"""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email import policy
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from common.errors import Rejected, Unavailable, Undecided
from common.observability import tracing
from common.setting_checks import between
from common.settings import setting
from workers.mail.smtp_settings import DEFAULT_PORTS, check_sender, check_smtp_url, read_sender

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.headerregistry import Address
    from email.message import EmailMessage

    from common.resilience.circuit_breaker import Breaker

STEP_RATIO = 2.0
_OK, _TEMPORARY = range(200, 300), range(400, 500)
_READY, _GO_ON, _CLOSING = 220, 354, 421
_ENHANCED = re.compile(rb"[245]\.[0-9]{1,3}\.[0-9]{1,3}\b")


@dataclass(frozen=True, kw_only=True)
class MailSettings:
    """The mail server and the sender."""

    smtp_url: str | None = setting(
        "SMTP_URL",
        default=None,
        check=check_smtp_url,
        meaning="Mail server: smtps://USER:PASSWORD@HOST, smtp+starttls://USER:PASSWORD@HOST or smtp://HOST. "
        "Empty: no e-mail.",
    )
    mail_from: str = setting(
        "MAIL_FROM",
        default="Holdfast <orders@localhost>",
        check=check_sender,
        meaning="Sender of the e-mails; its domain also names them (Message-ID).",
    )
    smtp_timeout_seconds: float = setting(
        "SMTP_TIMEOUT_SECONDS",
        "float",
        default=15.0,
        check=between(0.5, 120),
        meaning="Longest time for sending one e-mail, in seconds.",
    )


class MailServerUnavailableError(Unavailable):
    """No mail can be sent now."""

    code = "mail_server_unavailable"


class MailDeferredError(Undecided):
    """The server defers this mail."""

    code = "mail_deferred"


class MailRefusedError(Rejected):
    """The server rejects this mail permanently."""

    code = "mail_refused"


class MailServer:
    """Thread-safe: each mail has its own session."""

    def __init__(self, settings: MailSettings, breaker: Breaker) -> None:
        self.sender: Address = read_sender(settings.mail_from)
        self._url = urlsplit(settings.smtp_url or "")
        self._seconds, self._breaker = settings.smtp_timeout_seconds, breaker

    def send(self, mail: EmailMessage, recipient: str) -> None:
        """Returns when the server has accepted the mail.

        After an outage the outcome is unknown: it may have accepted it. Raises the three errors above.
        """
        attributes = {"peer.service": "mail_server", "holdfast.operation": "send"}
        answers = (MailDeferredError, MailRefusedError)
        with (
            self._breaker.guard(),
            tracing.child("mail_server send", "client", attributes, answers=answers),
            self._session() as session,
        ):
            _require(session.rcpt(recipient))
            _require(_data(session, mail.as_bytes(policy=policy.SMTP)))
            with suppress(Exception):  # the mail is accepted: ignore errors of QUIT
                session.quit()

    def probe(self) -> None:
        """Probe the server, up to the sender. Raises `MailServerUnavailableError`."""
        with self._breaker.guard(), self._session() as session, suppress(Exception):
            session.quit()

    @contextmanager
    def _session(self) -> Iterator[smtplib.SMTP]:
        """A session in which the sender is accepted."""
        client = self._client()
        end = threading.Timer(self._seconds, _cut, (client,))
        end.daemon = True
        end.start()
        try:
            self._open(client)
            yield client
        except (OSError, ValueError) as error:  # smtplib's own are OSErrors
            raise _outage(error) from None
        finally:
            end.cancel()
            client.close()

    def _client(self) -> smtplib.SMTP:
        seconds = self._seconds / STEP_RATIO
        if self._url.scheme == "smtps":
            client: smtplib.SMTP = smtplib.SMTP_SSL(timeout=seconds, context=ssl.create_default_context())
        else:
            client = smtplib.SMTP(timeout=seconds)
        client._host = self._url.hostname  # type: ignore[attr-defined]  # noqa: SLF001 - `connect` leaves it out, and TLS checks the certificate by it
        return client

    def _open(self, client: smtplib.SMTP) -> None:
        host, port = self._url.hostname or "", self._url.port or DEFAULT_PORTS[self._url.scheme]
        if client.connect(host, port)[0] != _READY:
            raise MailServerUnavailableError("the mail server has no service to offer")
        if self._url.scheme == "smtp+starttls":
            client.starttls(context=ssl.create_default_context())
        client.ehlo_or_helo_if_needed()
        if self._url.username:
            client.login(unquote(self._url.username), unquote(self._url.password or ""))
        code, text = client.mail(self.sender.addr_spec)
        if code not in _OK:
            message = f"the mail server refuses the sender: {_status(code, text)}"
            raise MailServerUnavailableError(message)


def _data(session: smtplib.SMTP, content: bytes) -> tuple[int, bytes]:
    try:
        return session.data(content)
    except smtplib.SMTPDataError as error:
        text = error.smtp_error
        return error.smtp_code, text if isinstance(text, bytes) else str(text).encode()


def _require(reply: tuple[int, bytes]) -> None:
    code, text = reply
    if code in _OK:
        return
    status = _status(code, text)
    if code == _CLOSING or " 4.3." in status:
        message = f"the mail server accepts no mail: {status}"
        raise MailServerUnavailableError(message)
    if code in _TEMPORARY:
        message = f"the mail server defers this mail: {status}"
        raise MailDeferredError(message)
    message = f"the mail server refuses this mail: {status}"
    raise MailRefusedError(message)


def _status(code: int, text: bytes) -> str:
    """The reply code, and the enhanced one of RFC 3463 if present: `550 5.1.1`."""
    enhanced = _ENHANCED.match(text)
    return f"{code} {enhanced[0].decode()}" if enhanced else str(code)


def _outage(error: Exception) -> MailServerUnavailableError:
    code = getattr(error, "smtp_code", None)
    return MailServerUnavailableError(f"the mail server does not answer: {type(error).__name__} {code or ''}".rstrip())


def _cut(client: smtplib.SMTP) -> None:
    """The session has timed out: waits for the server fail now."""
    with suppress(OSError, AttributeError):
        client.sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]  # without one there is nothing to end
