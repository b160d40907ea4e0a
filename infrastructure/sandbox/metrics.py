"""Metrics for Prometheus: requests, responses and injected faults."""

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from infrastructure.sandbox.exchange import Reply


class Metrics:
    """One registry per sandbox, so that two in one process do not share."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "sandbox_requests_total", "Requests below /v1.", ["operation", "status"], registry=self._registry
        )
        self._faults = Counter("sandbox_faults_total", "Faults that struck.", ["kind"], registry=self._registry)
        self._seconds = Histogram(
            "sandbox_request_duration_seconds", "Response time.", ["operation"], registry=self._registry
        )

    def count(self, operation: str, status: str, faults: list[str], seconds: float) -> None:
        self._requests.labels(operation, status).inc()
        self._seconds.labels(operation).observe(seconds)
        for kind in faults:
            self._faults.labels(kind).inc()

    def reply(self) -> Reply:
        return Reply(200, generate_latest(self._registry), {"Content-Type": CONTENT_TYPE_LATEST})
