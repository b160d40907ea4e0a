"""The promises that `GET /system` and its metrics speak of are those that an audit judges."""

from holdfast.audit.promises import PROMISES
from services.operations import system_api


def test_what_is_reported_is_what_is_judged() -> None:
    assert list(PROMISES) == system_api.PROMISES
