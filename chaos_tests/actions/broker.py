"""RabbitMQ's memory and disk alarms, and connections closed by its administrator.

`rabbitmqctl` of the running installation sets the alarms, with the broker's own environment; they last until they are
cleared or the broker restarts.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from chaos_tests.actions.evidence import result, wait_until
from chaos_tests.runners.drivers.driver import driver_of, local
from holdfast.management import call_management_api
from infrastructure.local.readiness import request_here
from infrastructure.local.servers.cluster import run_tool

ALARM_SECONDS, ASK_SECONDS = 20.0, 10.0
MORE_THAN_THERE_IS = 10
ALARMS = {"memory": "mem_alarm", "disk": "disk_free_alarm"}


def raise_alarm(kind: str, configuration: dict[str, Any]) -> dict[str, Any]:
    """Raise the memory or disk alarm: the broker stops reading from publishers."""
    node, home = _node(configuration), local(configuration).stack.home
    local(configuration).journal.add(clear_alarm, {"kind": kind}, limits=_limits(node))
    if kind == "memory":
        run_tool(home, "rabbitmqctl", "set_vm_memory_high_watermark", "absolute", "1MB")
    else:
        run_tool(home, "rabbitmqctl", "set_disk_free_limit", str(node["disk_free"] * MORE_THAN_THERE_IS))
    took = wait_until(lambda: bool(_node(configuration)[ALARMS[kind]]), ALARM_SECONDS, f"the {kind} alarm")
    return result(f"the broker's {kind} alarm was on after {took:.1f} s", took_effect=True)


def clear_alarm(kind: str, configuration: dict[str, Any]) -> dict[str, Any]:
    """Restore the broker's limits."""
    journal, home = local(configuration).journal, local(configuration).stack.home
    limits = journal.memory(clear_alarm, {"kind": kind}).get("limits") or _limits(_node(configuration))
    if kind == "memory":
        run_tool(home, "rabbitmqctl", "set_vm_memory_high_watermark", "absolute", str(limits["memory"]))
    else:
        run_tool(home, "rabbitmqctl", "set_disk_free_limit", str(limits["disk"]))
    took = wait_until(lambda: not _node(configuration)[ALARMS[kind]], ALARM_SECONDS, f"the end of the {kind} alarm")
    journal.remove(clear_alarm, {"kind": kind})
    return result(f"the {kind} alarm was off again after {took:.1f} s")


def close_connections(configuration: dict[str, Any]) -> dict[str, Any]:
    """Close every connection, as an administrator does. Nothing needs restoring: clients reconnect."""
    management = driver_of(configuration).target().management_url
    reply = call_management_api(management, "/api/connections")
    reply.raise_for_status()
    closed = 0
    for connection in reply.json():
        name = quote(connection["name"], safe="")
        closed += call_management_api(management, f"/api/connections/{name}", "DELETE").ok
    return result(f"{closed} connections were closed", took_effect=closed > 0)


def _node(configuration: dict[str, Any]) -> dict[str, Any]:
    """The node for `rabbitmqctl`; an alarm on one node of a cluster blocks publishers everywhere."""
    stack = local(configuration).stack
    reply = request_here("GET", f"{stack.urls.rabbitmq_node(stack.home.nodes[0])}/api/nodes", ASK_SECONDS)
    reply.raise_for_status()
    name = stack.home.nodes[0].erlang_name
    return next(node for node in reply.json() if node["name"] == name)


def _limits(node: dict[str, Any]) -> dict[str, int]:
    return {"memory": node["mem_limit"], "disk": node["disk_free_limit"]}
