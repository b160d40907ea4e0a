"""All processes of the table: ready, restarted after a kill, unchanged by a second `up`."""

import time
from collections.abc import Callable

import pytest
from click.testing import CliRunner

from holdfast.cli import main
from infrastructure.local.readiness import probe_http, request_here
from infrastructure.local.spec import Spec, read_specs, write_specs
from infrastructure.local.stack import Stack
from infrastructure.local.supervision import Supervisor
from infrastructure.processes import PROCESSES, process

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

BACK_SECONDS = 60
OURS = [line.name for line in PROCESSES if not line.is_job and line.probe]


def eventually(check: Callable[[], None]) -> None:
    deadline = time.monotonic() + BACK_SECONDS
    while True:
        try:
            check()
        except (OSError, AssertionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def test_every_process_runs_and_a_second_up_does_not_change_it(stack: Stack) -> None:
    before = {name: stack.pid(name) for name in OURS}
    assert all(before.values())
    stack.up()
    assert {name: stack.pid(name) for name in OURS} == before
    result = CliRunner().invoke(main, ["status", "--home", str(stack.home.path)])
    assert result.exit_code == 0, result.output


def test_a_second_up_keeps_added_processes(stack: Stack) -> None:
    before = read_specs(stack.home.programs_file)
    added = Spec("added", ["sleep", "600"], {})
    try:
        write_specs(stack.home, [*before.values(), added])
        stack.up()
        assert read_specs(stack.home.programs_file) == before | {"added": added}
        stack.start("added")
        eventually(lambda: check_runs(stack, "added"))
    finally:
        write_specs(stack.home, list(before.values()))
        Supervisor(stack.home).remove("added")


def check_runs(stack: Stack, name: str) -> None:
    assert stack.pid(name)


@pytest.mark.parametrize("name", ["gateway", "service-users", "worker-archive", "relay-1", "sandbox"])
def test_a_killed_process_is_ready_again(stack: Stack, name: str) -> None:
    before = stack.pid(name)
    stack.kill(name)

    def back() -> None:
        assert stack.pid(name) not in {None, before}
        probe_http(stack.home.port(name), process(name).probe)

    eventually(back)


def test_the_api_accepts_a_token_of_each_role(stack: Stack) -> None:
    eventually(lambda: probe_http(stack.home.port("gateway"), "/readyz"))
    url = f"{stack.urls.http('gateway')}/api/v1/users/me"
    assert request_here("GET", url, 60).status_code == 401
    for role in ("operator", "customer"):
        result = CliRunner().invoke(main, ["token", "--role", role, "--home", str(stack.home.path)])
        assert result.exit_code == 0, result.output
        headers = {"Authorization": f"Bearer {result.output.strip()}"}
        reply = request_here("GET", url, 60, headers=headers)
        assert (reply.status_code, reply.json()["username"]) == (200, role)


def test_metrics_are_not_exposed_by_the_gateway(stack: Stack) -> None:
    gateway = stack.urls.http("gateway")
    for path in ("/metrics", "/users/metrics", "/orders/docs/../metrics"):
        assert request_here("GET", gateway + path, 60).status_code == 404


def test_each_services_documentation_works_offline(stack: Stack) -> None:
    gateway = stack.urls.http("gateway")
    for context in ("users", "inventory", "orders", "payments", "archive"):
        description = request_here("GET", f"{gateway}/{context}/openapi.json", 60).json()
        assert description["openapi"].startswith("3.1")
        page = request_here("GET", f"{gateway}/{context}/docs", 60)
        assert page.status_code == 200
        assert "http" not in page.text.split("<body>")[1], "nothing is loaded from elsewhere"
        assert request_here("GET", f"{gateway}/{context}/docs/swagger-ui.css", 60).status_code == 200
