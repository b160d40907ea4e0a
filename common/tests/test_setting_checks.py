import pytest
from marshmallow import ValidationError

from common.setting_checks import HTTP_URL, POSTGRES_URL, networks, urls_by

GOOD = {"orders": "postgresql://orders:secret@h/orders", "users": "postgresql+psycopg2://users:secret@h:5432/users"}


def test_urls_by_name_are_taken() -> None:
    urls_by("context", POSTGRES_URL)(GOOD)
    urls_by("context", POSTGRES_URL, names=("users", "orders"))(GOOD)
    urls_by("process", HTTP_URL)({"relay-1": "http://127.0.0.1:1/metrics"})


@pytest.mark.parametrize("value", [None, [], {}, "postgresql://x/y", {"orders": 1}, {"orders": "mysql://x:secret@h/y"}])
def test_what_is_no_object_of_urls_is_refused_without_its_secret(value: object) -> None:
    with pytest.raises(ValidationError) as refused:
        urls_by("context", POSTGRES_URL)(value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("names", [("orders",), ("orders", "users", "payments")])
def test_it_has_exactly_the_names_that_are_asked_for(names: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError, match=", ".join(names)):
        urls_by("context", POSTGRES_URL, names=names)(GOOD)


def test_networks_are_addresses_with_a_prefix() -> None:
    networks("127.0.0.0/8, ::1/128,192.0.2.7")
    for value in ("", "everybody", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/8;::1", "10.0.0.0/8,"):
        with pytest.raises(ValidationError, match="expected networks like"):
            networks(value)
