"""holdfast dead-letters: inspect, replay or discard messages that no consumer could handle."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
import requests
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from holdfast.client import ApiError
from holdfast.commands.dead_letter_tables import letter_table, show_letter
from holdfast.commands.options import EXIT_FAILED
from holdfast.target import target_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from holdfast.client import Client
    from holdfast.target import Target

PATH = "/api/v1/dead-letters"
STATUSES = ("filed", "replaying", "replayed", "discarded")
POLL_SECONDS = 0.3
_json_option = click.option("--json", "as_json", is_flag=True, help="The response of the API as JSON.")


@click.group("dead-letters")
def dead_letters() -> None:
    """Inspect dead letters, replay them to the queue in which they failed, or discard them.

    Exit codes: 0 success; 1 failure (the text says why); 2 usage error; 3 no stack runs there.
    """


def _filters(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--error", help="Only this error's class, with or without its module."),
        click.option("--type", "event_type", help="Only events of this type."),
        click.option("--queue", help="Only those that failed in this queue, for example orders.events."),
    ):
        command = option(command)
    return command


@dead_letters.command("list")
@target_options
@_filters
@click.option("--status", type=click.Choice(STATUSES), help="Only dead letters with this status.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="Maximum number.")
@_json_option
def list_letters(
    target: Target,
    *,
    queue: str | None,
    event_type: str | None,
    error: str | None,
    status: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List dead letters, newest first.

    Exit codes: 0 listed (also if there are none); 1 the system does not answer; 3 no stack runs there.
    """
    with exit_on_refusal():
        letters = target.operator(patient=True).all(PATH, queue=queue, type=event_type, error=error, status=status)
        found = [letter for _, letter in zip(range(limit), letters, strict=False)]
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif found:
        Console().print(letter_table(found))
    else:
        click.echo("No dead letters.")


@dead_letters.command()
@click.argument("letter_id")
@target_options
@_json_option
def show(target: Target, letter_id: str, *, as_json: bool) -> None:
    """Show one dead letter: its event, error and history.

    Exit codes: 0 shown; 1 there is no such dead letter; 3 no stack runs there.
    """
    with exit_on_refusal():
        letter = target.operator(patient=True).get(f"{PATH}/{letter_id}")
    if as_json:
        click.echo(json.dumps(letter, indent=2))
    else:
        show_letter(letter, Console())


@dead_letters.command()
@click.argument("letter_id", required=False)
@target_options
@_filters
@click.option("--all", "everything", is_flag=True, help="All stored dead letters that match the filters.")
@click.option(
    "--rate", type=click.FloatRange(0.1, 1000), default=50, show_default=True, help="Dead letters per second."
)
@click.option("--event", type=click.File("r"), help="With LETTER_ID: a CloudEvents document to send instead.")
@click.option(
    "--wait", type=click.FloatRange(0, 86_400), default=60, show_default=True, help="Seconds without progress to wait."
)
@_json_option
def replay(
    target: Target,
    *,
    letter_id: str | None,
    queue: str | None,
    event_type: str | None,
    error: str | None,
    rate: float,
    event: Any,
    wait: float,
    everything: bool,
    as_json: bool,
) -> None:
    """Replay LETTER_ID, or all matching dead letters, to the queue in which they failed, and wait for the outcome.

    A replay is idempotent: a consumer drops events that it has handled. A dead letter that fails again returns. With
    --wait 0 the replay is only requested. (A bulk replay continues when this command ends.)

    Exit codes: 0 every dead letter was published to its queue (or requested, with --wait 0); 1 one was not, or not in
    time; 2 neither a LETTER_ID nor a filter was given; 3 no stack runs there.
    """
    filters = {"queue": queue, "type": event_type, "error": error}
    is_bulk = everything or any(filters.values())
    if is_bulk == bool(letter_id):
        raise click.UsageError("give a LETTER_ID, or at least one of --queue, --type, --error and --all")
    if event and is_bulk:
        raise click.UsageError("--event goes with a LETTER_ID")
    with exit_on_refusal():
        client = target.operator()
        if letter_id:
            client.post(f"{PATH}/{letter_id}/replay", {"event": _document(event)} if event else {})
            answer, done = _wait_for_letter(client, letter_id, wait)
        else:
            body: dict[str, Any] = {name: value for name, value in filters.items() if value}
            body["rate"] = rate
            answer, done = _wait_for_job(client, client.post(f"{PATH}/replay", body), wait, quiet=as_json)
    click.echo(json.dumps(answer, indent=2) if as_json else _outcome(answer))
    if not done and wait:
        raise SystemExit(EXIT_FAILED)


@dead_letters.command()
@click.argument("letter_id")
@target_options
@click.option("--reason", required=True, help="The reason; it is recorded.")
@_json_option
def discard(target: Target, letter_id: str, reason: str, *, as_json: bool) -> None:
    """Discard a dead letter. The record is kept, and can still be replayed.

    Exit codes: 0 it is discarded; 1 there is no such dead letter, or a replay is in flight; 3 no stack runs there.
    """
    with exit_on_refusal():
        letter = target.operator().post(f"{PATH}/{letter_id}/discard", {"reason": reason})
    click.echo(json.dumps(letter, indent=2) if as_json else f"{letter_id} is discarded.")


def _wait_for_letter(client: Client, letter_id: str, seconds: float) -> tuple[dict[str, Any], bool]:
    deadline = time.monotonic() + seconds
    while True:
        letter: dict[str, Any] = client.get(f"{PATH}/{letter_id}")
        if letter["status"] != "replaying" or time.monotonic() >= deadline:
            outcomes = [entry.get("outcome") for entry in letter["history"] if entry["kind"] == "replayed"]
            return letter, letter["status"] != "replaying" and outcomes[-1:] == ["published"]
        time.sleep(POLL_SECONDS)


def _wait_for_job(client: Client, job: dict[str, Any], seconds: float, *, quiet: bool) -> tuple[dict[str, Any], bool]:
    deadline, before = time.monotonic() + seconds, 0
    columns = (TextColumn("Replaying"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet, transient=True) as progress:
        bar = progress.add_task("", total=job["total"])
        while job["status"] == "running" and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            job = client.get(f"{PATH}/replays/{job['id']}")
            done = job["replayed"] + job["failed"]
            progress.update(bar, completed=done)
            if done > before:
                deadline, before = time.monotonic() + seconds, done
    return job, job["status"] == "done" and not job["failed"]


def _outcome(answer: dict[str, Any]) -> str:
    if "rate" in answer:
        counts = f"{answer['replayed']} of {answer['total']} dead letters replayed"
        failed = f", {answer['failed']} could not be" if answer["failed"] else ""
        return f"{counts}{failed} (job {answer['id']}, {answer['status']})"
    last = answer["history"][-1]
    if last["kind"] == "returned":
        return f"{answer['id']} was replayed and failed again: {last['error']}"
    return f"{answer['id']} is {answer['status']}" + (f": {last['outcome']}" if "outcome" in last else "")


def _document(file: Any) -> dict[str, Any]:
    try:
        found = json.load(file)
    except ValueError as error:
        raise click.UsageError(f"{file.name} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise click.UsageError(f"{file.name} is not a JSON object")
    return found


@contextmanager
def exit_on_refusal() -> Iterator[None]:
    """Turn a rejection, and a system that does not answer, into its text and exit code 1."""
    try:
        yield
    except (ApiError, requests.RequestException) as error:
        click.echo(error, err=True)
        raise SystemExit(EXIT_FAILED) from error
