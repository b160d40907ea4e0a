"""The buffering worker with a bounded queue for its threads, in number and in time.

gunicorn submits every request to an executor with an unbounded queue. Here at most `SERVICE_QUEUE` requests wait for
the `SERVICE_THREADS`; a separate thread rejects further ones at once. A request that has waited longer than
`SERVICE_WAIT_SECONDS` is rejected as well, if others wait behind it: while the database does not answer and each
request takes a second, even a short queue is a long wait. `common.web.load_shedding` defines the response. Idle
connections do not count.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from gunicorn.arbiter import Arbiter

from common.settings import HttpSettings, load
from common.web.buffering_worker import BufferingWorker

if TYPE_CHECKING:
    from concurrent.futures import Future

# More than one, so that a readiness check does not delay the rejections.
REFUSING_THREADS = 2


class AdmittingWorker(BufferingWorker):
    """Everything but `handle` runs in the main loop's thread, so the count needs no lock."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        settings = load(HttpSettings)
        self._threads = settings.service_threads
        self._capacity = settings.service_threads + settings.service_queue
        self._wait_seconds = settings.service_wait_seconds
        self._admitted = 0
        self._current = threading.local()

    def init_process(self) -> None:
        self._refusing = ThreadPoolExecutor(REFUSING_THREADS, thread_name_prefix="refuse")
        super().init_process()

    def load_wsgi(self) -> None:
        from common.web.load_shedding import LoadSheddingMiddleware  # noqa: PLC0415 - loads Flask, which the master does without

        try:
            super().load_wsgi()
        except SystemExit as error:  # a bad setting, already logged: gunicorn would restart workers in a loop
            raise SystemExit(Arbiter.APP_LOAD_ERROR) from error
        self.wsgi = LoadSheddingMiddleware(self.wsgi, self._refusal, lambda: self._admitted)

    def enqueue_req(self, conn: Any) -> None:
        conn.enqueued_at = time.monotonic()
        conn.is_admitted = self._admitted < self._capacity
        self._admitted += conn.is_admitted
        pool = self.tpool if conn.is_admitted else self._refusing
        future = pool.submit(self.handle, conn)
        future.add_done_callback(lambda done: self.method_queue.defer(self._finish, conn, done))

    def handle(self, conn: Any) -> Any:
        self._current.connection = conn
        return super().handle(conn)

    def _finish(self, conn: Any, done: Future[Any]) -> None:
        self._admitted -= conn.is_admitted
        self.finish_request(conn, done)

    def _refusal(self) -> str | None:
        """Why the request in this thread is rejected; None if it is served."""
        conn = self._current.connection
        if not conn.is_admitted:
            return "queue"
        is_late = time.monotonic() - conn.enqueued_at > self._wait_seconds
        return "wait" if is_late and self._admitted > self._threads else None
