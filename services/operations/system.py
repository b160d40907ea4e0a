"""The system view, built from one poll of everything. Pure. Sources that did not answer are null, never a guess."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from common.messaging.events import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from services.operations.monitoring import Sample, Snapshot

_BREAKER_STATES = {0: "closed", 1: "half_open", 2: "open"}
_SERVICE = "service-"
# The fields of an outbox, and their metrics.
_OUTBOX = {
    "seconds": "holdfast_outbox_oldest_seconds",
    "rows": "holdfast_outbox_rows",
    "set_aside_rows": "holdfast_outbox_set_aside_rows",
    "set_aside_seconds": "holdfast_outbox_set_aside_seconds",
}


def system_view(
    snapshot: Snapshot,
    processes: Sequence[str],
    dead_letters: list[dict[str, Any]] | None,
    last_audit: dict[str, Any] | None,
    *,
    has_broker: bool,
) -> dict[str, Any]:
    """`processes` are the expected ones, `dead_letters` the stored counts (None: the store is down)."""
    unanswered = [name for name in processes if name not in snapshot.metrics]
    unanswered += ["rabbitmq"] if snapshot.queues is None and has_broker else []
    unanswered += ["mongodb"] if dead_letters is None else []
    return {
        "checked_at": snapshot.at,
        "outboxes": _outboxes(snapshot),
        "queues": _queues(snapshot),
        "workers": [_worker(snapshot, name) for name in processes],
        "breakers": _breakers(snapshot),
        "sweeps": _sweeps(snapshot),
        "held_up": _held_up(snapshot),
        "standing_cases": _open_cases(snapshot),
        "undecided": _undecided(snapshot),
        "last_reconciliation_at": _last_reconciliation(snapshot),
        "dead_letters": dead_letters,
        "last_audit": last_audit,
        "unanswered": unanswered,
    }


def _outboxes(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Every relay measures every outbox: the maximum is used, also while none can publish. `relay` is the active
    one.
    """
    found: dict[str, dict[str, Any]] = {}
    for process, samples in snapshot.metrics.items():
        for database, known in _by_label(samples, "database").items():
            entry = found.setdefault(database, {"database": database, "relay": None} | dict.fromkeys(_OUTBOX))
            if known.get("holdfast_relay_active") == 1:
                entry["relay"] = process
            for field, metric in _OUTBOX.items():
                entry[field] = max(
                    (value for value in (entry[field], known.get(metric)) if value is not None), default=None
                )
    for entry in found.values():
        entry["rows"], entry["set_aside_rows"] = _whole(entry["rows"]), _whole(entry["set_aside_rows"])
    return [found[database] for database in sorted(found)]


def _queues(snapshot: Snapshot) -> list[dict[str, Any]] | None:
    if snapshot.queues is None:
        return None
    return [
        {
            "name": queue["name"],
            "messages": queue.get("messages"),
            "ready": queue.get("messages_ready"),
            "unacknowledged": queue.get("messages_unacknowledged"),
            "consumers": queue.get("consumers"),
            "not_empty_seconds": snapshot.not_empty_seconds.get(queue["name"], 0.0),
        }
        for queue in sorted(snapshot.queues, key=lambda queue: str(queue["name"]))
        if _is_ours(queue["name"])
    ]


def _is_ours(name: str) -> bool:
    return name.endswith(".events") or name.startswith(("holdfast.", "operations."))


def _worker(snapshot: Snapshot, name: str) -> dict[str, Any]:
    samples = snapshot.metrics.get(name, [])
    started = _value(samples, "process_start_time_seconds")
    subscribed = _value(samples, "holdfast_worker_subscribed")
    return {
        "name": name,
        "kind": "service" if name.startswith(_SERVICE) else "worker",
        "alive": name in snapshot.metrics,
        "last_seen_at": snapshot.last_seen.get(name),
        "started_at": _moment(started),
        "subscribed": None if subscribed is None else subscribed == 1,
    }


def breaker_is_open(snapshot: Snapshot, name: str) -> bool:
    """Whether this dependency's circuit breaker is not closed in any process."""
    return any(each["breaker"] == name and each["state"] != "closed" for each in _breakers(snapshot))


def _breakers(snapshot: Snapshot) -> list[dict[str, Any]]:
    return [
        {
            "process": process,
            "breaker": sample.labels.get("breaker", ""),
            "state": _BREAKER_STATES.get(int(sample.value), "unknown"),
        }
        for process, sample in _named(snapshot, "holdfast_breaker_state")
    ]


def _sweeps(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Any scheduler may have run a sweep last; the one that holds its lease is `scheduler`."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for process, sample in _named(snapshot, "holdfast_sweep_active"):
        entry = _sweep(found, sample)
        if sample.value == 1:
            entry["scheduler"] = process
    for _, sample in _named(snapshot, "holdfast_sweep_last_success_timestamp_seconds"):
        entry, at = _sweep(found, sample), _moment(sample.value or None)
        entry["last_success_at"] = max(filter(None, [entry["last_success_at"], at]), default=None)
    for _, sample in _named(snapshot, "holdfast_sweep_failures_total"):
        _sweep(found, sample)["failures"] += int(sample.value)
    return [found[key] for key in sorted(found)]


def _sweep(found: dict[tuple[str, str], dict[str, Any]], sample: Sample) -> dict[str, Any]:
    context, name = sample.labels.get("context", ""), sample.labels.get("sweep", "")
    fresh = {"context": context, "sweep": name, "scheduler": None, "last_success_at": None, "failures": 0}
    return found.setdefault((context, name), fresh)


def _last_reconciliation(snapshot: Snapshot) -> str | None:
    """When all comparisons were last complete: the oldest of each sweep's newest."""
    newest: dict[tuple[str, str], float] = defaultdict(float)
    for _, sample in _named(snapshot, "holdfast_reconciliation_last_success_timestamp_seconds"):
        sweep = sample.labels.get("context", ""), sample.labels.get("sweep", "")
        newest[sweep] = max(newest[sweep], sample.value)
    return _moment(min(newest.values(), default=None))


def _held_up(snapshot: Snapshot) -> bool | None:
    values = [sample.value for _, sample in _named(snapshot, "holdfast_held_up")]
    return any(value == 1 for value in values) if values else None


def _open_cases(snapshot: Snapshot) -> dict[str, Any] | None:
    """Refunds that wait for an operator; every instance of payments reports the same."""
    counts = [sample.value for _, sample in _named(snapshot, "holdfast_standing_cases")]
    ages = [sample.value for _, sample in _named(snapshot, "holdfast_standing_case_oldest_seconds")]
    return {"count": int(max(counts)), "oldest_seconds": max(ages, default=0.0)} if counts else None


def _undecided(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Items that wait for a decision, by consumer. Each instance of a worker reports those delivered to it last."""
    found: dict[str, dict[str, Any]] = {}
    for samples in snapshot.metrics.values():
        for consumer, known in _by_label(samples, "consumer").items():
            if items := int(known.get("holdfast_undecided_items", 0)):
                entry = found.setdefault(consumer, {"consumer": consumer, "items": 0, "oldest_seconds": 0.0})
                entry["items"] += items
                oldest = known.get("holdfast_undecided_oldest_seconds", 0.0)
                entry["oldest_seconds"] = max(entry["oldest_seconds"], oldest)
    return [found[consumer] for consumer in sorted(found)]


def _named(snapshot: Snapshot, name: str) -> Iterator[tuple[str, Sample]]:
    for process, samples in snapshot.metrics.items():
        for sample in samples:
            if sample.name == name:
                yield process, sample


def _by_label(samples: Sequence[Sample], label: str) -> dict[str, dict[str, float]]:
    values: dict[str, dict[str, float]] = defaultdict(dict)
    for sample in samples:
        if label in sample.labels:
            values[sample.labels[label]][sample.name] = sample.value
    return values


def _value(samples: Sequence[Sample], name: str) -> float | None:
    return next((sample.value for sample in samples if sample.name == name), None)


def _moment(seconds: float | None) -> str | None:
    return rfc3339(datetime.fromtimestamp(seconds, UTC)) if seconds else None


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
