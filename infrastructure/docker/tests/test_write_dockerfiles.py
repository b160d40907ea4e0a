"""Each service's Dockerfile is that of the whole system with the service's name."""

import subprocess
import uuid
from collections.abc import Iterator

import pytest

from infrastructure.docker.tests.dockerfile import PATH as ORIGINAL
from infrastructure.docker.tests.dockerfile import instructions
from infrastructure.docker.write_dockerfiles import ROOT, contexts, dockerfile

BUILD_SECONDS = 900
APP_LOAD_ERROR = 4  # gunicorn: another worker would not help


def test_every_service_has_a_current_dockerfile() -> None:
    assert "orders" in contexts()
    for context in contexts():
        text = (ROOT / "services" / context / "Dockerfile").read_text(encoding="utf-8")
        assert text == dockerfile(context), "run `python -m infrastructure.docker.write_dockerfiles`"


def test_a_services_dockerfile_differs_only_in_its_context() -> None:
    ours, whole = (instructions(path) for path in (ROOT / "services" / "orders" / "Dockerfile", ORIGINAL))
    differences = [(one.word, one.rest) for one, other in zip(ours, whole, strict=True) if one != other]
    assert differences == [("ARG", 'SERVICE="orders"')] * 2


@pytest.fixture
def tag() -> Iterator[str]:
    name = f"holdfast-test-{uuid.uuid4().hex[:8]}"
    yield name
    subprocess.run(["docker", "rmi", "--force", name], capture_output=True, check=False, timeout=60)


@pytest.mark.containers
@pytest.mark.timeout(BUILD_SECONDS)
@pytest.mark.parametrize("words", [("services/orders/Dockerfile", "."), ("Dockerfile", "../..")])
def test_the_documented_build_contains_the_service_and_its_worker(words: tuple[str, str], tag: str) -> None:
    file, context = words
    folder = ROOT if context == "." else ROOT / "services" / "orders"
    subprocess.run(["docker", "build", "-t", tag, "-f", file, context], cwd=folder, check=True, timeout=BUILD_SECONDS)
    assert imports(tag, "services.orders.main", "workers.orders.main", "common.storage.migrations")
    assert not imports(tag, "services.payments.main")
    started = subprocess.run(["docker", "run", "--rm", tag], capture_output=True, text=True, check=False, timeout=60)
    # The service itself: it first reports its missing settings.
    assert started.returncode == APP_LOAD_ERROR
    assert "DATABASE_URL" in started.stderr


def imports(tag: str, *modules: str) -> bool:
    words = ["docker", "run", "--rm", tag, "python", "-c", f"import {', '.join(modules)}"]
    return subprocess.run(words, capture_output=True, check=False, timeout=60).returncode == 0
