import re

from common.tests.sample_service import make_app
from common.tests.served import Server


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


def test_the_page_runs_its_own_scripts_only_and_is_in_nobodys_frame(server: Server) -> None:
    page = server.ask("GET", "/docs")
    policy = dict(part.split(" ", 1) for part in page.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert (policy["script-src"], policy["connect-src"]) == ("'self'", "'self'")
    assert page.headers["X-Frame-Options"] == "DENY"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    text = page.body.decode()
    assert re.findall(r"<script(?![^>]* src=)|<style|\son[a-z]+=|javascript:", text) == [], "the policy would stop it"
