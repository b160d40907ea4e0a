"""The overview of the system on the page Now, built from the system view. Pure.

Each part has a state, `ok`, `warn`, `bad` or `unknown`, and a short text. Problems are listed, worst first, each with a
link to its page. Missing information is shown as unknown, never as good.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from services.operations.console.formats import ago, duration
from services.operations.console.problems import UNDECIDED_SECONDS, Problem, awaited, counted, failing_webhooks

if TYPE_CHECKING:
    from collections.abc import Iterator

OK, WARN, BAD, UNKNOWN = "ok", "warn", "bad", "unknown"
SLOW_OUTBOX_SECONDS, LATE_OUTBOX_SECONDS = 5.0, 30.0
SLOW_QUEUE_SECONDS = 30.0
_CONTEXTS = ("users", "inventory", "orders", "payments", "archive", "operations")
_SELF = "service-operations"
_RELATIONAL = frozenset({"users", "inventory", "orders", "payments"})
_SEVERITY = {BAD: 0, UNKNOWN: 1, WARN: 2}
_EVENTS = ".events"
_PROVIDER = "Payment provider"
_NOTHING_TO_DO = "No action is needed: orders wait and resume automatically when it answers."

Unready = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the overview. `sentence` says what is wrong outside the picture, where `text` is too short."""

    name: str
    state: str
    text: str = ""
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A context: its service, its outbox, its queue and its worker, in the order of an event's path."""

    name: str
    service: Part | None
    outbox: Part | None
    queue: Part | None
    worker: Part | None


@dataclass(frozen=True, slots=True)
class Overview:
    rows: list[Row]
    others: list[Part]
    problems: list[Problem]

    @property
    def state(self) -> str:
        return min((problem.state for problem in self.problems), key=_SEVERITY.__getitem__, default=OK)


def overview(view: Mapping[str, Any], unready: Unready, webhooks: Sequence[Mapping[str, Any]] = ()) -> Overview:
    """The overview of a system view (`services.operations.system`).

    `unready` has the failing readiness checks of each reachable service, `webhooks` the failing endpoints.
    """
    processes = {worker["name"]: worker for worker in view["workers"]}
    contexts = [*_CONTEXTS, *sorted(_further(processes))]
    rows = [_row(context, view, processes, unready) for context in contexts]
    shown = {f"{kind}-{context}" for kind in ("service", "worker") for context in contexts}
    others = [_process(worker, view, unready) for name, worker in processes.items() if name not in shown]
    servers = [_postgres(unready), _rabbitmq(view), _mongodb(view), *_providers(view)]
    found = [*_problems(view, [*servers, *_parts(rows), *others]), *failing_webhooks(webhooks)]
    problems = sorted(found, key=lambda each: _SEVERITY[each.state])
    return Overview([row for row in rows if _has_parts(row)], servers + others, problems)


def _further(processes: Mapping[str, Any]) -> set[str]:
    """Contexts added after this module was written."""
    names = {name.partition("-")[2] for name in processes if name.startswith(("service-", "worker-"))}
    return names - set(_CONTEXTS)


def _row(context: str, view: Mapping[str, Any], processes: Mapping[str, Any], unready: Unready) -> Row:
    service, worker = processes.get(f"service-{context}"), processes.get(f"worker-{context}")
    return Row(
        context,
        _process(service, view, unready) if service else None,
        next((_outbox(each) for each in view["outboxes"] if each["database"] == context), None),
        _queue(context, view, worker),
        _process(worker, view, unready) if worker else None,
    )


def _process(process: Mapping[str, Any], view: Mapping[str, Any], unready: Unready) -> Part:
    name = process["name"]
    if not process["alive"] and name == _SELF:
        return Part(name, WARN, "slow: it serves this page, but did not answer itself in time")
    if not process["alive"]:
        seen = f"last seen {ago(process['last_seen_at'])}" if process["last_seen_at"] else "not seen yet"
        return Part(name, BAD, f"does not answer, {seen}")
    if process["subscribed"] is False:
        return Part(name, BAD, f"paused until {awaited(name, view)} answers")
    if any(each["process"] == name and each["state"] != "closed" for each in view["breakers"]):
        return Part(name, WARN, f"calls to {awaited(name, view)} fail")
    if failing := unready.get(name):
        return Part(name, BAD, f"not ready: {', '.join(failing)}")
    since = ago(process["started_at"]).removesuffix(" ago")
    return Part(name, OK, f"up for {since}" if process["started_at"] else "up")


def _outbox(outbox: Mapping[str, Any]) -> Part:
    context, seconds, rows = outbox["database"], outbox["seconds"], outbox["rows"] or 0
    name = f"outbox of {context}"
    if aside := outbox["set_aside_rows"]:
        return Part(name, BAD, f"{aside} unroutable", f"{counted(aside, 'event')} of {context} cannot reach any queue")
    if outbox["relay"] is None:
        sentence = f"{counted(rows, 'event')} of {context} wait to be published: no relay process does it"
        return Part(name, BAD, f"no relay publishes, {rows} wait", sentence)
    if seconds is None:
        return Part(name, UNKNOWN, "not measured")
    if seconds >= SLOW_OUTBOX_SECONDS:
        sentence = f"{counted(rows, 'event')} of {context} wait to be published, the oldest for {duration(seconds)}"
        return Part(
            name, BAD if seconds >= LATE_OUTBOX_SECONDS else WARN, f"{rows} wait, {duration(seconds)}", sentence
        )
    return Part(name, OK, f"{rows} waiting" if rows else "empty")


def _queue(context: str, view: Mapping[str, Any], worker: Mapping[str, Any] | None) -> Part | None:
    name = f"{context}{_EVENTS}"
    if view["queues"] is None:
        return Part(name, UNKNOWN, "RabbitMQ does not answer") if worker else None
    queue = next((each for each in view["queues"] if each["name"] == name), None)
    if queue is None:
        return None
    messages, waited = queue["messages"] or 0, queue["not_empty_seconds"]
    waiting = f"{counted(messages, 'event')} for {context} {'waits' if messages == 1 else 'wait'}"
    if not queue["consumers"]:
        return Part(name, BAD, f"{messages} wait, no worker", f"{waiting}: {_idle(context, view, worker)}")
    if messages and waited >= SLOW_QUEUE_SECONDS:
        late = f"{messages} wait, not empty for {duration(waited)}"
        return Part(name, WARN, late, f"{waiting}: its worker has been behind for {duration(waited)}")
    return Part(name, OK, f"{messages} waiting" if messages else "empty")


def _idle(context: str, view: Mapping[str, Any], worker: Mapping[str, Any] | None) -> str:
    """The reason why no worker consumes the queue of `context`."""
    if worker and worker["alive"] and worker["subscribed"] is False:
        return f"its worker has paused until {awaited(worker['name'], view)} answers"
    if worker and worker["alive"]:  # the broker's own figures are some seconds old
        return "its worker has just resumed" if worker["subscribed"] else "no worker consumes them"
    return f"worker-{context} does not run"


def _postgres(unready: Unready) -> Part:
    answers = [failing for name, failing in unready.items() if name.removeprefix("service-") in _RELATIONAL]
    if any("postgres" in failing for failing in answers):
        return Part("PostgreSQL", BAD, "does not answer")
    return Part("PostgreSQL", OK, "answers") if answers else Part("PostgreSQL", UNKNOWN, "no service answers")


def _rabbitmq(view: Mapping[str, Any]) -> Part:
    is_away = view["queues"] is None
    if is_away and "rabbitmq" not in view["unanswered"]:
        return Part("RabbitMQ", UNKNOWN, "its address is not set")
    return Part("RabbitMQ", BAD, "does not answer") if is_away else Part("RabbitMQ", OK, "answers")


def _mongodb(view: Mapping[str, Any]) -> Part:
    return Part("MongoDB", BAD, "does not answer") if view["dead_letters"] is None else Part("MongoDB", OK, "answers")


def _providers(view: Mapping[str, Any]) -> Iterator[Part]:
    states = {each["state"] for each in view["breakers"] if each["breaker"] == "payment_provider"}
    if "open" in states:
        yield Part(_PROVIDER, BAD, "does not answer")
    elif "half_open" in states:
        yield Part(_PROVIDER, WARN, "is being probed")
    else:
        yield Part(_PROVIDER, OK if states else UNKNOWN, "no failures" if states else "unknown")


def _parts(rows: list[Row]) -> Iterator[Part]:
    for row in rows:
        yield from (part for part in (row.service, row.outbox, row.queue, row.worker) if part)


def _has_parts(row: Row) -> bool:
    return any((row.service, row.outbox, row.queue, row.worker))


def _problems(view: Mapping[str, Any], parts: list[Part]) -> Iterator[Problem]:
    for part in parts:
        if part.state in (BAD, WARN):
            yield _problem(part)
    if view["held_up"]:
        yield Problem(WARN, "Open orders are not timed out: the time-out clock is stopped during the outage")
    if waiting := waiting_letters(view):
        verb = "needs" if waiting == 1 else "need"
        text = f"{counted(waiting, 'event')} failed for good and {verb} your decision (dead letters)"
        yield Problem(WARN, text, "console.list_dead_letters")
    for each in undecided(view):
        oldest = duration(each["oldest_seconds"])
        events = f"{counted(each['items'], 'event')} for {each['consumer']} {'is' if each['items'] == 1 else 'are'}"
        text = f"{events} undecided at the payment provider, the oldest for {oldest}"
        yield Problem(WARN, text, "console.list_cases")
    cases = view["standing_cases"]
    if cases and cases["count"]:
        text = f"{counted(cases['count'], 'refund')} that the payment provider refuses"
        yield Problem(WARN, text, "console.list_cases")
    audit = view["last_audit"]
    if audit and not audit["ok"]:
        yield Problem(BAD, f"The last audit found a broken promise ({audit['broken']})", "console.list_promises")


def _problem(part: Part) -> Problem:
    text = part.sentence or f"{part.name}: {part.text}"
    if part.name != _PROVIDER:
        return Problem(part.state, text)
    orders = {"status": "reserved"}
    return Problem(part.state, text, "console.list_orders", orders, advice=_NOTHING_TO_DO, label="Orders that wait")


def waiting_letters(view: Mapping[str, Any]) -> int:
    """The number of dead letters that wait for a decision."""
    return sum(each["count"] for each in view["dead_letters"] or [] if each["status"] == "filed")


def undecided(view: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Consumers with events that have waited for a decision for so long that the page Cases lists them too."""
    return [each for each in view["undecided"] if each["oldest_seconds"] >= UNDECIDED_SECONDS]
