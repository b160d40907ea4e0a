"""The mail server, by SMTP: the only file that calls it.

Guarantees: sending a mail has a time-out as a whole; no error contains an address, or the server's text, which may
repeat it. Mails share sessions (`smtp_sessions.py`); if a kept one takes no other mail, a new one decides.

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
import ssl
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from common.errors import Rejected, Unavailable, Undecided
from common.observability import tracing
from common.setting_checks import between
from common.settings import setting
from workers.mail.smtp_sessions import Session, Sessions
from workers.mail.smtp_settings import DEFAULT_PORTS, check_sender, check_smtp_url, read_sender

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.headerregistry import Address

    from common.resilience.circuit_breaker import Breaker

STEP_RATIO = 2.0
MIN_STEP_SECONDS = 0.1
_OK, _TEMPORARY = range(200, 300), range(400, 500)
_READY, _CLOSING = 220, 421
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
    """Thread-safe: each mail has its own session, a kept one of an earlier mail if there is one."""

    def __init__(self, settings: MailSettings, breaker: Breaker) -> None:
        self.sender: Address = read_sender(settings.mail_from)
        self._url = urlsplit(settings.smtp_url or "")
        self._seconds, self._breaker = settings.smtp_timeout_seconds, breaker
        self._sessions = Sessions()

    def send(self, mail: bytes, recipient: str) -> None:
        """Returns when the server has accepted the mail.

        After an outage the outcome is unknown: it may have accepted it. Raises the three errors above.
        """
        attributes = {"peer.service": "mail_server", "holdfast.operation": "send"}
        answers = (MailDeferredError, MailRefusedError)
        deadline = time.monotonic() + self._seconds
        with (
            self._breaker.guard(),
            tracing.child("mail_server send", "client", attributes, answers=answers),
            _outages(),
        ):
            if (kept := self._sessions.take()) is not None:
                with suppress(_StaleSessionError):
                    self._send(kept, deadline, mail, recipient)
                    return
                self._sessions.clear()  # the others have been idle for longer
            self._send(self._new_session(deadline), deadline, mail, recipient)

    def probe(self) -> None:
        """Probe the server in a new session, up to the sender. Raises `MailServerUnavailableError`."""
        deadline = time.monotonic() + self._seconds
        session = self._new_session(deadline)
        with self._breaker.guard(), _outages(), self._sessions.use(session, deadline) as client:
            self._open(client)
            self._name_sender(client)
            with suppress(Exception):
                client.quit()

    def close(self) -> None:
        """Keep no session from now on."""
        self._sessions.close()

    def _send(self, session: Session, deadline: float, mail: bytes, recipient: str) -> None:
        with self._sessions.use(session, deadline) as client:
            _require(self._name_recipient(session, recipient))
            _require(_data(client, mail))

    def _name_recipient(self, session: Session, recipient: str) -> tuple[int, bytes]:
        """Return the reply to RCPT. Before this point no mail can have been accepted.

        If a kept session ends here or rejects another mail, that is not an outage of the server.
        """
        try:
            if not session.mails:
                self._open(session.client)
            self._name_sender(session.client)
            reply = session.client.rcpt(recipient)
        except (OSError, ValueError, MailServerUnavailableError):
            if not session.mails:
                raise
            raise _StaleSessionError from None
        if session.mails and reply[0] == _CLOSING:
            raise _StaleSessionError
        return reply

    def _new_session(self, deadline: float) -> Session:
        seconds = max(MIN_STEP_SECONDS, deadline - time.monotonic()) / STEP_RATIO
        if self._url.scheme == "smtps":
            client: smtplib.SMTP = smtplib.SMTP_SSL(timeout=seconds, context=ssl.create_default_context())
        else:
            client = smtplib.SMTP(timeout=seconds)
        client._host = self._url.hostname  # type: ignore[attr-defined]  # noqa: SLF001 - `connect` leaves it out, and TLS checks the certificate by it
        return Session(client)

    def _open(self, client: smtplib.SMTP) -> None:
        host, port = self._url.hostname or "", self._url.port or DEFAULT_PORTS[self._url.scheme]
        if client.connect(host, port)[0] != _READY:
            raise MailServerUnavailableError("the mail server refuses connections")
        if self._url.scheme == "smtp+starttls":
            client.starttls(context=ssl.create_default_context())
        client.ehlo_or_helo_if_needed()
        if self._url.username:
            client.login(unquote(self._url.username), unquote(self._url.password or ""))

    def _name_sender(self, client: smtplib.SMTP) -> None:
        code, text = client.mail(self.sender.addr_spec)
        if code not in _OK:
            message = f"the mail server refuses the sender: {_status(code, text)}"
            raise MailServerUnavailableError(message)


class _StaleSessionError(Exception):
    """A kept session can take no other mail."""


@contextmanager
def _outages() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # smtplib's own are OSErrors
        code = getattr(error, "smtp_code", None)
        message = f"the mail server does not answer: {type(error).__name__} {code or ''}".rstrip()
        raise MailServerUnavailableError(message) from None


def _data(session: smtplib.SMTP, content: bytes) -> tuple[int, bytes]:
    try:
        return session.data(content)
    except smtplib.SMTPDataError as error:
        if error.smtp_code in _OK:  # its replies no longer match the commands
            raise MailServerUnavailableError("the mail server has not asked for the mail's content") from None
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
