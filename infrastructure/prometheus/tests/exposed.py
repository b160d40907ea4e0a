"""The existing metrics: those in the code, and the listed ones of other programs."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
PACKAGES = ("common", "services", "workers", "infrastructure")
SUFFIXES = {"Counter": ("_total",), "Gauge": ("",), "Histogram": ("_bucket", "_sum", "_count")}
# RabbitMQ's own, each found on a running 3.10; /metrics/detailed adds the prefix `rabbitmq_detailed_` to a queue's.
# https://github.com/rabbitmq/rabbitmq-server/blob/main/deps/rabbitmq_prometheus/metrics.md
RABBITMQ = frozenset(
    {
        "rabbitmq_detailed_queue_messages",
        "rabbitmq_detailed_queue_messages_ready",
        "rabbitmq_detailed_queue_messages_unacked",
        "rabbitmq_detailed_queue_consumers",
        "rabbitmq_alarms_memory_used_watermark",
        "rabbitmq_alarms_free_disk_space_watermark",
        "rabbitmq_connections",
        "rabbitmq_process_resident_memory_bytes",
        "rabbitmq_resident_memory_limit_bytes",
        "rabbitmq_disk_space_available_bytes",
        "rabbitmq_disk_space_available_limit_bytes",
        "rabbitmq_global_messages_received_total",
        "rabbitmq_global_messages_delivered_total",
        "rabbitmq_global_messages_confirmed_total",
        "rabbitmq_global_messages_acknowledged_total",
        "rabbitmq_global_messages_redelivered_total",
    }
)
# Metrics of Flower, of Prometheus, and of every process (prometheus_client).
OTHERS = frozenset(
    {
        *("flower_events_total", "flower_worker_online"),
        *("up", "scrape_duration_seconds"),
        *("process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_max_fds"),
        "process_start_time_seconds",
    }
)
_WORDS = frozenset({"and", "or", "unless", "bool", "offset", "inf", "nan"})  # keywords of PromQL


@cache
def known() -> frozenset[str]:
    """Every metric name that a process may expose."""
    return RABBITMQ | OTHERS | frozenset(_ours())


def used(expression: str) -> set[str]:
    """The metrics in a PromQL expression, including recorded ones."""
    bare = re.sub(r'"(\\.|[^"\\])*"', "", expression)
    bare = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", bare)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", bare)
    found = re.findall(r"(?<![\w:])[a-zA-Z_:][\w:]*(?![\w:]*\s*\()", bare)
    return {name for name in found if name.lower() not in _WORDS and not name.startswith("$")}


def _ours() -> set[str]:
    found: set[str] = set()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            if "tests" not in path.relative_to(ROOT).parts:
                found |= _declared(path.read_text(encoding="utf-8"))
    return found


def _declared(text: str) -> set[str]:
    if "prometheus_client" not in text:
        return set()
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SUFFIXES and node.args:
            name = str(ast.literal_eval(node.args[0])).removesuffix("_total")
            names |= {f"{name}{suffix}" for suffix in SUFFIXES[node.func.id]}
    return names
