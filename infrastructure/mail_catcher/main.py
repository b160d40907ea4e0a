"""`python -m infrastructure.mail_catcher.main`: SMTP at SMTP_PORT, received mails at http://HOST:SERVICE_PORT/mails."""

import logging
import signal
import threading

from aiosmtpd.controller import Controller

from common.settings import load
from infrastructure.mail_catcher.mailbox import Mailbox
from infrastructure.mail_catcher.pages import serve_pages
from infrastructure.mail_catcher.settings import Settings

MAX_MAIL_BYTES = 256 * 1024


def main() -> None:
    """Serve until a signal."""
    settings = load(Settings)
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("mail.log").setLevel(logging.WARNING)  # aiosmtpd's: every command with its addresses
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    mailbox = Mailbox()
    controller = Controller(
        mailbox, hostname=settings.service_host, port=settings.smtp_port, data_size_limit=MAX_MAIL_BYTES
    )
    with serve_pages(mailbox, settings.service_host, settings.service_port):
        controller.start()
        stopping.wait()
        controller.stop()


if __name__ == "__main__":
    main()
