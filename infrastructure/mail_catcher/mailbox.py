"""The received mails: the last `MAX_MAILS`, in memory. Thread-safe."""

import threading
from collections import deque
from datetime import UTC, datetime
from email import message_from_bytes, policy
from typing import Any

MAX_MAILS = 1_000


class Mailbox:
    """A handler of aiosmtpd that accepts everything."""

    def __init__(self) -> None:
        self._mails: deque[dict[str, Any]] = deque(maxlen=MAX_MAILS)
        self._lock = threading.Lock()

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep one mail."""
        mail = message_from_bytes(envelope.content, policy=policy.default)
        body = mail.get_body(("plain",))
        shown = {
            "received_at": datetime.now(UTC).isoformat(),
            "sender": envelope.mail_from,
            "recipients": envelope.rcpt_tos,
            "headers": {name: str(value) for name, value in mail.items()},
            "text": body.get_content().replace("\r\n", "\n") if body else "",
        }
        with self._lock:
            self._mails.append(shown)
        return "250 2.0.0 kept"

    def mails(self, recipient: str = "") -> list[dict[str, Any]]:
        """Newest first; those to one recipient, or all."""
        with self._lock:
            known = list(self._mails)
        return [mail for mail in reversed(known) if not recipient or recipient in mail["recipients"]]
