"""`python -m infrastructure.terraform.tests.extract_schema DIRECTORY > infrastructure/terraform/tests/schema.json`

Writes down, for each AWS resource and data source that the modules use, which arguments and blocks it takes, which of
them it demands, and what it answers. DIRECTORY is an unpacked wheel of `cdktf-cdktf-provider-aws`, whose classes are
made from the provider's own schema (21.22.1: from provider 6.25.0); it is read, never run. Wanted only when a resource
of a new kind is added, or for a new provider.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path
from typing import Any

from infrastructure.terraform.tests.configuration import load_modules

# Arguments of every resource, which Terraform itself reads.
_GENERAL = frozenset({"id", "connection", "count", "depends_on", "for_each", "lifecycle", "provider", "provisioners"})
_INHERITED = {"id", "arn"}


def main(directory: Path) -> None:
    kinds = sorted({each.kind for module in load_modules().values() for each in module.resources})
    schema = {kind: _schema(directory / "cdktf_cdktf_provider_aws", kind) for kind in kinds}
    lines = ",\n".join(f"{json.dumps(kind)}: {json.dumps(each, sort_keys=True)}" for kind, each in schema.items())
    sys.stdout.write(f"{{\n{lines}\n}}\n")


def _schema(package: Path, kind: str) -> dict[str, Any]:
    name = kind.replace("data.aws_", "data_aws_").removeprefix("aws_")
    text = (package / name / "__init__.py").read_text(encoding="utf-8")
    classes = {each.name: each for each in ast.parse(text).body if isinstance(each, ast.ClassDef)}
    main_class = "".join(part.capitalize() for part in name.split("_"))
    found = next(each for each in classes.values() if each.name.lower() == main_class.lower())
    answers = {each.name for each in found.body if isinstance(each, ast.FunctionDef) and _is_property(each)}
    answers = {each for each in answers if not each.endswith("_input")}
    return {**_arguments(found, classes, _GENERAL), "answers": sorted(answers | _INHERITED)}


def _is_property(function: ast.FunctionDef) -> bool:
    return any(ast.unparse(each) == "builtins.property" for each in function.decorator_list)


def _arguments(
    found: ast.ClassDef, classes: dict[str, ast.ClassDef], general: frozenset[str] = frozenset()
) -> dict[str, Any]:
    start = next(each for each in found.body if isinstance(each, ast.FunctionDef) and each.name == "__init__")
    result: dict[str, Any] = {"required": [], "arguments": [], "blocks": {}}
    for argument in start.args.kwonlyargs:
        if argument.arg in general:
            continue
        kind = ast.unparse(argument.annotation) if argument.annotation else ""
        if not kind.startswith("typing.Optional["):
            result["required"].append(argument.arg)
        inner = [name for name in re.findall(r"'(\w+)'", kind) if name in classes]
        if inner:
            result["blocks"][argument.arg] = _arguments(classes[inner[0]], classes)
        else:
            result["arguments"].append(argument.arg)
    return result


if __name__ == "__main__":
    main(Path(sys.argv[1]))
