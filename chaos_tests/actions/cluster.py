"""A broker of three nodes: the leader killed, or the nodes partitioned, in both directions or one.

The leader is determined at injection. Only the links between nodes are cut: every process still reaches each node, also
one in a minority.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import permutations
from typing import TYPE_CHECKING, Any

import requests

from chaos_tests.actions.evidence import result, wait_until
from chaos_tests.runners.drivers.cluster_links import cluster_link
from chaos_tests.runners.drivers.driver import local
from infrastructure.local.readiness import request_here

if TYPE_CHECKING:
    from infrastructure.local.nodes import Node

# The busiest queue of an order: its leader is the most critical node.
QUEUE = "orders.events"
TOXIC = "timeout"
NOTICED_SECONDS, ELECTED_SECONDS, WHOLE_SECONDS, ASK_SECONDS = 60.0, 60.0, 240.0, 5.0


def kill_leader(configuration: dict[str, Any], queue: str = QUEUE) -> dict[str, Any]:
    """Kill the node that leads a queue with signal 9, and wait until another one leads it."""
    driver = local(configuration)
    leader = _known_leader(configuration, queue)
    driver.journal.add(wait_until_complete, {})
    before = driver.identity(leader)
    driver.kill(leader)
    wait_until(lambda: driver.identity(leader) != before, ELECTED_SECONDS, f"{leader} dies")
    now = ""

    def is_another() -> bool:
        nonlocal now
        now = _leader(configuration, queue, but=leader)
        return now not in {"", leader}

    took = wait_until(is_another, ELECTED_SECONDS, f"another node leads {queue}")
    return result(f"{leader}, {before}, led {queue} and was killed; {now} led it after {took:.1f} s", took_effect=True)


def kill_all(configuration: dict[str, Any]) -> dict[str, Any]:
    """Kill all nodes with signal 9, at the same time."""
    driver = local(configuration)
    before = {name: driver.identity(name) for name in _names(configuration)}
    driver.journal.add(wait_until_complete, {})
    for name in before:
        driver.kill(name)
    wait_until(lambda: all(driver.identity(name) != before[name] for name in before), ELECTED_SECONDS, "all die")
    return result(f"killed: {', '.join(f'{name}, {identity}' for name, identity in before.items())}", took_effect=True)


def isolate_leader(configuration: dict[str, Any], queue: str = QUEUE) -> dict[str, Any]:
    """Partition the node that leads a queue from both others, and wait until they detect it."""
    leader = _known_leader(configuration, queue)
    others = [name for name in _names(configuration) if name != leader]
    local(configuration).journal.add(rejoin, {})
    for other in others:
        _cut(configuration, leader, other)
        _cut(configuration, other, leader)
    took = wait_until(
        lambda: not any(_sees(configuration, other, leader) for other in others), NOTICED_SECONDS, f"{leader} is missed"
    )
    return result(
        f"{leader}, which led {queue}, was cut off; the others missed it after {took:.1f} s", took_effect=True
    )


def cut_one_way(configuration: dict[str, Any], queue: str = QUEUE) -> dict[str, Any]:
    """Drop everything from the node that leads a queue to another one, and wait until either detects it."""
    leader = _known_leader(configuration, queue)
    other, third = (name for name in _names(configuration) if name != leader)
    local(configuration).journal.add(rejoin, {})
    _cut(configuration, leader, other)
    took = wait_until(
        lambda: not (_sees(configuration, other, leader) and _sees(configuration, leader, other)),
        NOTICED_SECONDS,
        f"{other} misses {leader}",
    )
    evidence = f"{other} received nothing from {leader}, which led {queue}; {third} was connected to both"
    return result(f"{evidence}; missed after {took:.1f} s", took_effect=True)


def rejoin(configuration: dict[str, Any]) -> dict[str, Any]:
    """Restore all links between nodes, and return when they form one cluster again."""
    driver = local(configuration)
    struck = 0
    if driver.proxy_routes.are_built:
        struck = sum(_restore(configuration, one, other) for one, other in permutations(_names(configuration), 2))
    took = _await_whole(configuration)
    driver.journal.remove(rejoin, {})
    return result(f"the partition took effect {struck} times; the nodes were one broker {took:.1f} s after it")


def wait_until_complete(configuration: dict[str, Any]) -> dict[str, Any]:
    """Return when all nodes form one cluster, and every queue has a leader and all its members."""
    took = _await_whole(configuration)
    local(configuration).journal.remove(wait_until_complete, {})
    return result(f"the nodes were one broker again after {took:.1f} s", took_effect=True)


def _await_whole(configuration: dict[str, Any]) -> float:
    names = _names(configuration)

    def is_complete() -> bool:
        return all(_sees(configuration, one, other) for one in names for other in names) and all(
            len(queue.get("online", ())) == len(names) and queue.get("leader")
            for queue in _request(configuration, names[0], "queues")
            if queue["type"] == "quorum"
        )

    return wait_until(is_complete, WHOLE_SECONDS, "the nodes are one broker")


def _cut(configuration: dict[str, Any], source: str, target: str) -> None:
    """Drop everything that `source` sends to `target`, on connections opened by either."""
    for name, stream in ((cluster_link(source, target), "upstream"), (cluster_link(target, source), "downstream")):
        document = {"name": f"{TOXIC}-{stream}", "type": TOXIC, "stream": stream, "attributes": {"timeout": 0}}
        local(configuration).proxy_routes.call("POST", f"/proxies/{name}/toxics", document)


def _restore(configuration: dict[str, Any], one: str, other: str) -> int:
    """Returns how often the toxics took effect. (A proxy that died has lost the count.)"""
    name, struck = cluster_link(one, other), 0
    proxy_routes = local(configuration).proxy_routes
    for toxic in [each["name"] for each in proxy_routes.call("GET", f"/proxies/{name}/toxics")]:
        struck += proxy_routes.call("GET", f"/proxies/{name}").get("struck", {}).get(toxic, 0)
        proxy_routes.call("DELETE", f"/proxies/{name}/toxics/{toxic}")
    return struck


def _names(configuration: dict[str, Any]) -> list[str]:
    return [node.name for node in local(configuration).stack.home.nodes]


def _node(configuration: dict[str, Any], process: str) -> Node:
    return next(node for node in local(configuration).stack.home.nodes if node.name == process)


def _known_leader(configuration: dict[str, Any], queue: str) -> str:
    """The process that leads the queue, when there is a leader."""
    wait_until(lambda: _leader(configuration, queue) != "", ELECTED_SECONDS, f"a node leads {queue}")
    return _leader(configuration, queue)


def _leader(configuration: dict[str, Any], queue: str, but: str = "") -> str:
    """The process that leads the queue, from any node `but` one; empty without a known leader."""
    home = local(configuration).stack.home
    by_erlang_name = {node.erlang_name: node.name for node in home.nodes}
    for node in home.nodes:
        with suppress(requests.RequestException):
            if node.name != but:
                return by_erlang_name.get(_request(configuration, node.name, f"queues/%2F/{queue}").get("leader"), "")
    return ""


def _sees(configuration: dict[str, Any], one: str, other: str) -> bool:
    """Whether a node serves, and sees another one as running."""
    expected = _node(configuration, other).erlang_name
    try:
        return any(node["name"] == expected and node["running"] for node in _request(configuration, one, "nodes"))
    except requests.RequestException:
        return False


def _request(configuration: dict[str, Any], process: str, what: str) -> Any:
    url = local(configuration).stack.urls.rabbitmq_node(_node(configuration, process))
    reply = request_here("GET", f"{url}/api/{what}", ASK_SECONDS)
    reply.raise_for_status()
    return reply.json()
