"""`holdfast new service` in a copy of this checkout: the generated code passes every check, or nothing is written."""

from __future__ import annotations

import pytest

from holdfast.new_service.tests.checkout import Checkout, copied

pytestmark = pytest.mark.timeout(900)  # type-checking takes long beside other tests
WORDS = ("loyalty", "--resource", "points", "--listens", "order.confirmed.v1", "--listens", "order.cancelled.v1")
# Tests of the whole tree, its tables and its deployments.
WHOLE_TREE = (
    *("tests", "workers/topology", "infrastructure/local/tests/test_process_table.py", "infrastructure/tests"),
    *(f"infrastructure/{part}" for part in ("docker", "gateway", "kubernetes", "prometheus", "provision", "terraform")),
    *(
        "--ignore",
        "tests/e2e",
        "--ignore",
        "tests/test_locks.py",
        "-q",
        "-x",
        "-m",
        "not integration and not slow and not e2e and not containers",
    ),
)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return copied(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    made = copied(tmp_path_factory.mktemp("written"))
    made.read_types_from_here()
    done = made.new_service(*WORDS)
    assert done.returncode == 0, done.stderr
    return made


@pytest.mark.slow
def test_an_invalid_request_changes_nothing(checkout: Checkout) -> None:
    done = checkout.new_service("orders", "--listens", "order.confirmed.v1")
    assert (done.returncode, "the context 'orders' already exists" in done.stderr) == (1, True), done.stderr
    assert checkout.status() == ""


@pytest.mark.slow
def test_a_file_with_uncommitted_changes_is_not_changed(checkout: Checkout) -> None:
    file = checkout.root / "compose.yaml"
    file.write_text(file.read_text() + "# mine\n")
    done = checkout.new_service(*WORDS)
    assert (done.returncode, "compose.yaml" in done.stderr) == (1, True)
    assert checkout.status() == " M compose.yaml\n"
    checkout.succeed("git", "checkout", "-q", "compose.yaml")


@pytest.mark.slow
def test_a_failure_while_writing_restores_every_file(checkout: Checkout) -> None:
    broken = checkout.root / "infrastructure" / "prometheus" / "__main__.py"
    broken.write_text("raise SystemExit(1)\n")
    checkout.commit()
    done = checkout.new_service(*WORDS)
    assert (done.returncode, "infrastructure.prometheus" in done.stderr) == (1, True)
    assert checkout.status() == ""
    assert not (checkout.root / "services" / "loyalty").exists()
    checkout.succeed("git", "checkout", "-q", "HEAD~", "--", ".")
    checkout.commit()


@pytest.mark.slow
def test_it_lists_the_written_files(written: Checkout) -> None:
    changed = [line[3:] for line in written.succeed("git", "status", "--porcelain", "-uall").splitlines()]
    assert {"compose.yaml", "services/loyalty/api.py", "workers/loyalty/consumers.py"} <= set(changed)
    assert written.new_service(*WORDS).returncode == 1, "it is there already"


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("ruff", "format", "--check", "."),
        ("ruff", "check", "."),
        ("lint-imports", "--no-cache"),
        ("mypy", "services/loyalty", "workers/loyalty", "workers/topology", "workers/scheduler"),
    ],
    ids=" ".join,
)
def test_the_generated_service_passes_the_checks(written: Checkout, words: tuple[str, ...]) -> None:
    written.succeed(*words)


@pytest.mark.generated
def test_the_tree_with_the_generated_service_passes_its_tests(written: Checkout) -> None:
    written.succeed("pytest", *WHOLE_TREE)


@pytest.mark.generated
def test_the_generated_tests_pass_on_real_servers(written: Checkout) -> None:
    """Includes tests that cover every context: the scheduler's privileges, the statements on large tables."""
    places = ("services/loyalty", "workers/loyalty", "workers/scheduler/tests/test_rights.py", "tests/history")
    try:
        written.succeed("pytest", "-q", *places)
    finally:
        written.run("holdfast", "down", "--delete-data", "--home", ".holdfast-test")
