"""services/routes.txt: its content. tests/test_configuration.py checks that it is current."""

from __future__ import annotations

from docs.routes import routes


def test_each_route_is_listed_once_in_flasks_format() -> None:
    listed = routes()
    assert len(set(listed)) == len(listed)
    assert {"POST /api/v1/orders", "GET /api/v1/orders/<order_id>", "GET /api/v1/system"} <= set(listed)
    assert {"GET /internal/v1/users/<uuid:user_id>/contact", "POST /internal/v1/contacts"} <= set(listed)
