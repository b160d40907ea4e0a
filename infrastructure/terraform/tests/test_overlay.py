"""Terraform's outputs match the inputs of the overlay `aws`."""

from __future__ import annotations

import re
from ipaddress import ip_network
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from infrastructure.kubernetes.tests.overlays import KUBERNETES, of_kind
from infrastructure.terraform.tests.configuration import TERRAFORM, load_modules

TEMPLATE = (TERRAFORM / "installation.yaml.tftpl").read_text(encoding="utf-8")
INSTALLATION = (KUBERNETES / "overlays" / "aws" / "installation" / "kustomization.yaml").read_text(encoding="utf-8")


def given() -> dict[str, Any]:
    """The variables passed to `templatefile`."""
    text = (TERRAFORM / "outputs.tf").read_text(encoding="utf-8")
    [call] = re.findall(r"templatefile\((.*?)\}\)", text, re.DOTALL)
    return dict(re.findall(r"^\s+(\w+)\s+= (.+)$", call, re.MULTILINE))


def test_the_template_uses_its_variables() -> None:
    assert set(re.findall(r"\$\{(\w+)", TEMPLATE)) == set(given())


def test_the_committed_example_is_the_template_filled_in() -> None:
    pattern = re.sub(r"\\\$\\\{.*?\\\}", '[^\\n"]+?', re.escape(TEMPLATE))
    assert re.fullmatch(pattern, INSTALLATION), "run `terraform output -raw overlay`, or bring the example up to date"
    assert yaml.safe_load(INSTALLATION)["kind"] == "Component"


def test_clients_reach_the_subnets_of_the_servers() -> None:
    network = ip_network(load_modules()["."].variables["vpc_cidr"]["default"])
    subnets = [str(each) for each in islice(network.subnets(prefixlen_diff=8), 8, 11)]
    text = (TERRAFORM / "modules" / "network" / "main.tf").read_text(encoding="utf-8")
    assert "cidrsubnet(var.cidr, 8, count.index + 8)" in text, "then this test counts wrongly"
    ports = {}
    for policy in of_kind("aws", "NetworkPolicy"):
        if policy["metadata"]["name"].startswith("servers-of-aws-"):
            [rule] = policy["spec"]["egress"]
            assert [peer["ipBlock"]["cidr"] for peer in rule["to"]] == subnets
            ports[policy["metadata"]["name"].rpartition("-")[2]] = rule["ports"][0]["port"]
    assert ports == {"postgres": 5432, "rabbitmq": 5671, "mongodb": 27017, "management": 443}


def test_servers_accept_the_cluster_on_its_ports() -> None:
    opened = set()
    for path in ("postgres", "rabbitmq", "mongodb"):
        for each in load_modules()[f"modules/{path}"].resources:
            if each.kind == "aws_vpc_security_group_ingress_rule":
                assert each.body["referenced_security_group_id"] == "${var.client_security_group}"
                listed = each.body.get("for_each") or {"only": each.body["from_port"]}
                opened |= set(listed.values())
    assert opened == {5432, 5671, 443, 27017}


def test_the_repository_contains_no_terraform_state() -> None:
    assert not [path for path in Path(TERRAFORM).rglob("*") if path.name.endswith((".tfstate", ".tfvars"))]
