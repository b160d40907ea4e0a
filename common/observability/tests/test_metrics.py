import re
import urllib.request

import pytest

from common.observability import metrics
from common.tests.ports import free_port


def test_a_worker_serves_its_metrics_until_stopped() -> None:
    metrics.count_request("GET", "/from-a-worker", 200, 0.01)
    port = free_port()
    stop = metrics.serve_metrics("127.0.0.1", port)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as reply:
        text = reply.read().decode()
    assert 'http_requests_total{method="GET",route="/from-a-worker",status="2xx"} 1.0' in text
    stop()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60)


def test_label_values_are_bounded() -> None:
    before = unmatched()
    for number in range(5):
        metrics.count_request(f"VERB{number}", None, 404, 0.01)
    assert unmatched() == before + 5
    assert "VERB" not in metrics.exposition()[0].decode()


def unmatched() -> float:
    text = metrics.exposition()[0].decode()
    found = re.search(r'^http_requests_total{method="OTHER",route="unmatched",status="4xx"} (\S+)$', text, re.MULTILINE)
    return float(found[1]) if found else 0.0
