"""The README of each service: short, with its actual routes, events and commands."""

from __future__ import annotations

import re
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from common.settings import load
from common.web.health import PATHS
from docs.configuration import example
from infrastructure.local.credentials import load_credentials
from infrastructure.local.env_files import filled, values_of
from infrastructure.local.home import DEFAULT_PORT_BASE, open_home
from infrastructure.processes import port_of
from services import ROUTES_FILE
from tests.test_configuration import read
from tests.test_tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

CONTEXTS = sorted(path.parent.name for path in ROOT.glob("services/*/main.py"))
LINES = 40
# Every service has these, and the paths below /docs.
COMMON = {*PATHS, "/openapi.json", "/docs", "/", "/console"}  # pages are not part of the API
EVENT = re.compile(r"`([a-z_]+\.[a-z_]+\.v[0-9]+|#)`")


def page(context: str) -> str:
    return (ROOT / "services" / context / "README.md").read_text(encoding="utf-8")


def paragraph(context: str, beginning: str) -> str:
    """The text from `beginning` to the next empty line."""
    found = re.search(rf"{beginning}.*?(?=\n\n)", page(context), re.DOTALL)
    assert found, f"{context}: no paragraph {beginning}"
    return found[0]


@pytest.mark.parametrize("context", CONTEXTS)
def test_the_page_is_short_and_shows_run_test_and_build_commands(context: str) -> None:
    text = page(context)
    assert len(text.splitlines()) <= LINES
    folders = [f"services/{context}"] + [f"workers/{context}"] * bool(list(ROOT.glob(f"workers/{context}/main.py")))
    for folder in folders:
        assert f"cd {folder} && python main.py" in text
        assert f"cd {folder} && pytest" in text
        assert ".env.example" in text
    assert f"http://127.0.0.1:{port_of(f'service-{context}', DEFAULT_PORT_BASE)}/docs" in text
    assert f"docker build -t {context} -f services/{context}/Dockerfile ." in text
    assert (ROOT / f"services/{context}/Dockerfile").exists()


def routes_of(app: Any) -> set[tuple[str, str]]:
    """Methods and paths of a Flask app, or of a FastAPI app's documented routes."""
    if hasattr(app, "url_map"):
        found = [(rule.rule, rule.methods or set()) for rule in app.url_map.iter_rules()]
    else:
        found = [
            (re.sub(r"{[^}]+}", "{}", path), {method.upper() for method in methods})
            for path, methods in app.openapi()["paths"].items()
        ]
    return {(method, path) for path, methods in found for method in methods - {"HEAD", "OPTIONS"}}


@pytest.mark.parametrize("context", CONTEXTS)
def test_the_pages_routes_match_the_app(context: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = open_home(tmp_path / "home", 9000)
    folder = f"services/{context}"
    for name, value in read(filled(example(folder), values_of(folder, home, load_credentials(home), {}))).items():
        monkeypatch.setenv(name, value)
    main = import_module(f"services.{context}.main")
    app = main.create_app(load(main.Settings))
    extensions = getattr(app, "extensions", {})
    store = getattr(extensions.get("context"), "store", extensions.get("context"))
    # MongoDB's client must be closed, although it never connected.
    if store is not None and hasattr(store, "database"):
        store.database.client.close()
    served = {(method, path) for method, path in routes_of(app) if f"/{path.split('/')[1]}" not in COMMON}
    named = {
        (method, re.sub(r"{[^}]+}", "{}", path))
        for method, path in re.findall(r"^\| `([A-Z]+) (\S+)` \|", page(context), re.MULTILINE)
    }
    assert named == {(method, re.sub(r"<[^>]+>", "{}", path)) for method, path in served}
    if hasattr(app, "url_map"):  # other services accept a rate limit of this route
        listed = ROUTES_FILE.read_text(encoding="utf-8").splitlines()
        assert {f"{method} {path}" for method, path in served} <= set(listed), "run `python -m docs.configuration`"


@pytest.mark.parametrize("context", CONTEXTS)
def test_the_pages_events_match_the_code(context: str) -> None:
    producers = f"services.{context}.producers"
    published = {each.type for each in import_module(producers).CONTRACTS} if find_spec(producers) else set()
    assert set(EVENT.findall(paragraph(context, "Events out"))) == published
    has_consumers = (ROOT / "workers" / context / "consumers.py").exists()
    handled = set(import_module(f"workers.{context}.consumers").HANDLERS) if has_consumers else set()
    assert set(EVENT.findall(paragraph(context, "Events in"))) == handled
