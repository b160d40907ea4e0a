"""The promises in `GET /system` and its metrics are those that the audit checks."""

from holdfast.audit.promises import PROMISES
from services.operations import system_api


def test_reported_promises_match_the_audits() -> None:
    assert list(PROMISES) == system_api.PROMISES
