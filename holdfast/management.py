"""The broker's management API, from the first node that answers: each represents the whole cluster."""

from typing import Any

import requests

from infrastructure.local.readiness import request_here

ASK_SECONDS = 10.0


def call_management_api(management_url: str, path: str, method: str = "GET", **options: Any) -> requests.Response:
    """Call one URL, or the first that answers of several, separated by `;`. Raises requests' exceptions.

    `options` are those of `requests.request`.
    """
    *others, last = management_url.split(";")
    for url in others:
        try:
            return request_here(method, f"{url}{path}", ASK_SECONDS, **options)
        except (requests.ConnectionError, requests.Timeout):
            continue
    return request_here(method, f"{last}{path}", ASK_SECONDS, **options)
