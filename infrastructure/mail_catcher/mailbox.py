"""The received mails: the last `MAX_MAILS`, in memory. Thread-safe."""

import threading
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from typing import Any

MAX_MAILS = 1_000


@dataclass(frozen=True, slots=True)
class Received:
    """A received mail, unparsed: it is parsed when it is shown, because that takes longer than receiving it."""

    at: datetime
    sender: str
    recipients: list[str]
    content: bytes

    def shown(self) -> dict[str, Any]:
        headers, text = self._read()
        return {
            "received_at": self.at.isoformat(),
            "sender": self.sender,
            "recipients": self.recipients,
            "headers": headers,
            "text": text.replace("\r\n", "\n"),
        }

    def _read(self) -> tuple[dict[str, str], str]:
        try:
            mail = message_from_bytes(self.content, policy=policy.default)
            body = mail.get_body(("plain",))
            return {name: str(value) for name, value in mail.items()}, body.get_content() if body else ""
        except Exception:  # noqa: BLE001 - one malformed mail, with an unknown charset for example, must not hide the others
            return {}, self.content.decode(errors="replace")


class Mailbox:
    """A handler of aiosmtpd that accepts everything."""

    def __init__(self) -> None:
        self._mails: deque[Received] = deque(maxlen=MAX_MAILS)
        self._lock = threading.Lock()

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Store one mail."""
        self.keep(envelope.mail_from, envelope.rcpt_tos, envelope.content)
        return "250 2.0.0 kept"

    def keep(self, sender: str, recipients: list[str], content: bytes) -> None:
        with self._lock:
            self._mails.append(Received(datetime.now(UTC), sender, recipients, content))

    def mails(self, recipient: str = "") -> list[dict[str, Any]]:
        """Newest first; those to one recipient, or all."""
        with self._lock:
            known = list(self._mails)
        return [mail.shown() for mail in reversed(known) if not recipient or recipient in mail.recipients]
