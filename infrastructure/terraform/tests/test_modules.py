"""The Terraform modules are consistent, and every resource has only known and all required arguments.

This is most of what `terraform validate` does, which needs the provider from a registry. Not checked: types of values.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from infrastructure.terraform.tests.configuration import TERRAFORM, Module, load_modules, module_paths

SCHEMA: dict[str, Any] = json.loads(Path(__file__).with_name("schema.json").read_text(encoding="utf-8"))
GENERAL = {"count", "for_each", "depends_on", "lifecycle", "provider"}
# Collection uses only the paths: otherwise every process of a run would parse all modules, for seconds.
PATHS = module_paths()
MINIMUM_EKS = (1, 35)


def complaints(body: dict[str, Any], schema: dict[str, Any], place: str) -> list[str]:
    """The unknown and the missing required arguments."""
    given = set(body) - {"dynamic"}
    given |= {name for block in body.get("dynamic", []) for name in block}
    known = {*schema["arguments"], *schema["blocks"]}
    found = [f"{place} knows no {name}" for name in sorted(given - known)]
    found += [f"{place} needs {name}" for name in sorted(set(schema["required"]) - given)]
    for name in sorted(given & set(schema["blocks"])):
        inner = body.get(name, [])
        for each in inner if isinstance(inner, list) else [inner]:
            if isinstance(each, dict):
                found += complaints(each, schema["blocks"][name], f"{place}.{name}")
    return found


@pytest.mark.parametrize("path", PATHS)
def test_each_resource_has_only_known_and_all_required_arguments(path: str) -> None:
    found = []
    for resource in load_modules()[path].resources:
        body = {name: value for name, value in resource.body.items() if name not in GENERAL}
        found += complaints(body, SCHEMA[resource.kind], f"{path}: {resource.kind}.{resource.name}")
    assert found == []


def test_unknown_and_missing_arguments_are_found() -> None:
    broker = next(each for each in load_modules()["modules/rabbitmq"].resources if each.kind == "aws_mq_broker")
    wrong = {key: value for key, value in broker.body.items() if key not in {"engine_type", "lifecycle"}} | {
        "multi_az": True
    }
    wrong["user"] = [{"username": "administrator"}]
    found = complaints(wrong, SCHEMA[broker.kind], "it")
    assert found == ["it knows no multi_az", "it needs engine_type", "it.user needs password"]


@pytest.mark.parametrize("path", PATHS)
def test_references_exist(path: str) -> None:
    module = load_modules()[path]
    declared = {(each.kind, each.name) for each in module.resources}
    for scope, name, attribute in module.references:
        place = f"{scope}.{name}"
        if scope == "var":
            assert name in module.variables, place
        elif scope == "local":
            assert name in module.locals, place
        elif scope == "module":
            assert attribute in called(module, name).outputs, f"{place}.{attribute}"
        else:
            assert (scope, name) in declared, place
            assert not attribute or attribute in SCHEMA[scope]["answers"], f"{place}.{attribute}"


def called(module: Module, name: str) -> Module:
    path = (module.directory / module.calls[name]["source"]).resolve()
    return load_modules()[str(path.relative_to(TERRAFORM))]


def test_modules_get_only_declared_and_all_required_variables() -> None:
    root = load_modules()["."]
    assert {called(root, name).directory for name in root.calls} == {
        module.directory for path, module in load_modules().items() if path != "."
    }
    for name, call in root.calls.items():
        variables = called(root, name).variables
        given = set(call) - {"source"} - GENERAL
        needed = {each for each, body in variables.items() if "default" not in body}
        assert given - set(variables) == set(), name
        assert needed - given == set(), name


@pytest.mark.parametrize("path", PATHS)
def test_every_variable_and_output_is_described_and_every_variable_is_used(path: str) -> None:
    module = load_modules()[path]
    for name, body in {**module.variables, **module.outputs}.items():
        assert body.get("description"), name
    used = {name for scope, name, _ in module.references if scope == "var"}
    text = "".join(each.read_text(encoding="utf-8") for each in module.directory.glob("*.tf"))
    assert {name for name in module.variables if name not in used and f"var.{name}" not in text} == set()


def test_no_secret_has_a_default() -> None:
    for path, module in load_modules().items():
        for name, body in module.variables.items():
            if re.search("password|secret|key$", name):
                assert "default" not in body, f"{path}: {name}"
                assert body.get("sensitive") is True, f"{path}: {name}"


def body_of(kind: str) -> dict[str, Any]:
    [found] = [each.body for module in load_modules().values() for each in module.resources if each.kind == kind]
    return found


def test_data_stores_are_encrypted_backed_up_and_protected_from_deletion() -> None:
    for kind in ("aws_db_instance", "aws_docdb_cluster"):
        body = body_of(kind)
        assert body["storage_encrypted"] is True
        assert body["deletion_protection"] is True
        assert body["skip_final_snapshot"] is False
        assert int(body["backup_retention_period"]) >= 14
        assert body["manage_master_user_password"] is True
    assert body_of("aws_db_instance")["multi_az"] is True
    assert body_of("aws_docdb_cluster_instance")["count"] == 3
    broker = body_of("aws_mq_broker")
    assert broker["deployment_mode"] == "CLUSTER_MULTI_AZ"
    assert broker["lifecycle"][0]["prevent_destroy"] is True
    assert body_of("aws_eks_cluster")["deletion_protection"] is True
    assert body_of("aws_ecr_repository")["image_tag_mutability"] == "IMMUTABLE"


def test_versions_are_new_enough() -> None:
    variables = load_modules()["."].variables
    assert tuple(map(int, variables["kubernetes_version"]["default"].split("."))) >= MINIMUM_EKS
    assert variables["rabbitmq_instance"]["default"].startswith("mq.m7g.")
    assert load_modules()["modules/rabbitmq"].variables["engine_version"]["default"].startswith("4.")


def test_every_skipped_check_has_a_reason() -> None:
    for path in TERRAFORM.rglob("*.tf"):
        for skip in re.findall(r"checkov:skip=(.*)", path.read_text(encoding="utf-8")):
            _, _, reason = skip.partition(":")
            assert len(reason) > 20, f"{path.name}: {skip}"


def test_the_files_are_formatted_as_terraform_does() -> None:
    program = shutil.which("terraform")
    if program is None:
        pytest.skip("no terraform here")
    words = [program, "fmt", "-check", "-diff", "-recursive", str(TERRAFORM)]
    answer = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
