import re

from common.tests.sample_service import make_app


def test_the_page_works_under_any_prefix_and_offline() -> None:
    client = make_app().test_client()
    page = client.get("/docs").get_data(as_text=True)
    addresses = re.findall(r'(?:src|href|url)[=:]\s*"([^"]+)"', page)
    assert len(addresses) >= 4
    for address in addresses:
        assert not address.startswith(("/", "http"))
        with client.get("/" + address) as reply:
            assert reply.status_code == 200


def test_nothing_but_the_assets_is_served() -> None:
    client = make_app().test_client()
    for path in ("/docs/../flask_swagger_ui.py", "/docs/%2e%2e/flask_swagger_ui.py", "/docs/nothing.js"):
        assert client.get(path).status_code == 404
