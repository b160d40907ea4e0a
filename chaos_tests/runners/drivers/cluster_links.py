"""Links of a broker's cluster, each direction of each pair through the proxy alone.

A node asks Erlang's port mapper for the port of another. Here it asks its own mapper, which returns the port of a
proxy. A link is called `<node>.to-<other node>`: the connections that the first opens to the other. Either node may
open the one connection of a pair, so what a node sends travels upstream in its own link and downstream in the other's.
This needs neither root nor kernel rules, and a cut ends with its proxy.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from itertools import permutations
from typing import TYPE_CHECKING, Any

from infrastructure.local.home import write_private
from infrastructure.local.spec import Spec

if TYPE_CHECKING:
    from pathlib import Path

    from infrastructure.local.home import Home

MAPPER = "chaos-mapper"


def cluster_link(node: str, other: str) -> str:
    """The name of the proxy of that direction."""
    return f"{node}.to-{other}"


def cluster_links(home: Home) -> list[dict[str, Any]]:
    """A proxy for each direction between two nodes; none for a single node."""
    return [
        {
            "name": cluster_link(node.name, other.name),
            "upstream": f"127.0.0.1:{home.port_base + other.distribution_port}",
            "enabled": True,
        }
        for node, other in permutations(home.nodes, 2)
    ]


def with_mapper(
    home: Home, specs: dict[str, Spec], proxies: list[dict[str, Any]], ports: list[int], config: Path
) -> dict[str, Spec]:
    """The specs of the nodes with their own mapper, and of the mapper; `proxies` have their addresses."""
    if len(home.nodes) == 1:
        return specs
    listening = {proxy["name"]: int(proxy["listen"].rpartition(":")[2]) for proxy in proxies}
    listeners = [
        {
            "listen": port,
            "ports": {
                other.erlang_name.partition("@")[0]: listening[cluster_link(node.name, other.name)]
                for other in home.nodes
                if other != node
            },
        }
        for node, port in zip(home.nodes, ports, strict=True)
    ]
    write_private(config, json.dumps(listeners, indent=1) + "\n")
    real = f"127.0.0.1:{home.port('epmd')}"
    words = [sys.executable, "-m", "chaos_tests.proxy.mapper", "--mapper", real, "--config", str(config)]
    asking = {
        node.name: replace(specs[node.name], environment=specs[node.name].environment | {"ERL_EPMD_PORT": str(port)})
        for node, port in zip(home.nodes, ports, strict=True)
    }
    return specs | asking | {MAPPER: Spec(MAPPER, words, {"LC_ALL": "C.UTF-8"})}
