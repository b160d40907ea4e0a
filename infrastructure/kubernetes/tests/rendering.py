"""A small kustomize: exactly the features that our overlays use, so that their checks need no binary.

Guarantee: a field of a kustomization.yaml that it does not know is an error, never left out in silence; and where a
real kustomize is at hand, a test shows that both render the same. It is for these tests; a cluster gets `kubectl apply
-k`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from infrastructure.kubernetes.tests.merging import apply_operations, merge

if TYPE_CHECKING:
    from pathlib import Path

Resource = dict[str, Any]
_KNOWN = {"apiVersion", "kind", "resources", "components", "patches", "namespace", "nameSuffix", "labels", "images"}
_CLUSTER_WIDE = {"Namespace", "ClusterRole", "ClusterRoleBinding", "IngressClass"}
_SELECTORS = {
    "Service": ("spec", "selector"),
    "Deployment": ("spec", "selector", "matchLabels"),
    "StatefulSet": ("spec", "selector", "matchLabels"),
    "PodDisruptionBudget": ("spec", "selector", "matchLabels"),
}


def render(directory: Path) -> list[Resource]:
    """What `kubectl kustomize DIRECTORY` prints, in no particular order of resources or of merged lists."""
    return _apply(directory, [])


def _apply(directory: Path, resources: list[Resource]) -> list[Resource]:
    wish = yaml.safe_load((directory / "kustomization.yaml").read_text(encoding="utf-8"))
    if unknown := set(wish) - _KNOWN:
        raise ValueError(f"{directory}: this small kustomize does not know {', '.join(sorted(unknown))}")
    for path in wish.get("resources", []):
        resources = resources + _load(directory / path)
    for path in wish.get("components", []):
        resources = _apply(directory / path, resources)
    for patch in wish.get("patches", []):
        resources = _patched(resources, patch, directory)
    _set_namespace(resources, wish.get("namespace"))
    _add_suffix(resources, wish.get("nameSuffix", ""))
    for labels in wish.get("labels", []):
        for resource in resources:
            _add_labels(resource, labels)
    for image in wish.get("images", []):
        _set_image(resources, image)
    return resources


def _load(path: Path) -> list[Resource]:
    if path.is_dir():
        return _apply(path, [])
    return [each for each in yaml.safe_load_all(path.read_text(encoding="utf-8")) if each]


def _patched(resources: list[Resource], patch: dict[str, Any], directory: Path) -> list[Resource]:
    text = patch["patch"] if "patch" in patch else (directory / patch["path"]).read_text(encoding="utf-8")
    change = yaml.safe_load(text)
    target = patch.get("target") or {"kind": change["kind"], "name": change["metadata"]["name"]}
    chosen = [each for each in resources if _matches(each, target)]
    if not chosen:
        raise ValueError(f"{directory}: a patch meets nothing: {target}")
    keeps_name = not (patch.get("options") or {}).get("allowNameChange")
    return [_changed(each, change, keeps_name) if each in chosen else each for each in resources]


def _matches(resource: Resource, target: dict[str, str]) -> bool:
    found = {"kind": resource["kind"], "name": resource["metadata"]["name"]}
    if unknown := set(target) - set(found):
        raise ValueError(f"this small kustomize does not select by {unknown}")
    return all(re.fullmatch(pattern, found[field]) for field, pattern in target.items())


def _changed(resource: Resource, change: Any, keeps_name: bool) -> Resource:
    if isinstance(change, list):
        patched: Resource = apply_operations(resource, change)
        return patched
    merged: Resource = merge(
        resource, {key: value for key, value in change.items() if key not in {"kind", "apiVersion"}}
    )
    if keeps_name:
        merged["metadata"]["name"] = resource["metadata"]["name"]
    return merged


def _set_namespace(resources: list[Resource], namespace: str | None) -> None:
    for resource in resources:
        if namespace and resource["kind"] not in _CLUSTER_WIDE:
            resource["metadata"]["namespace"] = namespace


def _add_suffix(resources: list[Resource], suffix: str) -> None:
    for resource in resources:
        resource["metadata"]["name"] += suffix
        if resource["kind"] == "HorizontalPodAutoscaler":
            resource["spec"]["scaleTargetRef"]["name"] += suffix


def _add_labels(resource: Resource, wish: dict[str, Any]) -> None:
    pairs = wish["pairs"]
    resource["metadata"].setdefault("labels", {}).update(pairs)
    selects = wish.get("includeSelectors", False)
    template = (
        resource.get("spec", {}).get("template") if resource["kind"] in {"Deployment", "StatefulSet", "Job"} else None
    )
    if template is not None and (selects or wish.get("includeTemplates")):
        template.setdefault("metadata", {}).setdefault("labels", {}).update(pairs)
    if not selects:
        return
    if path := _SELECTORS.get(resource["kind"]):
        found = resource
        for step in path:
            found = found.setdefault(step, {})
        found.update(pairs)
    for constraint in (template or {}).get("spec", {}).get("topologySpreadConstraints", []):
        constraint["labelSelector"]["matchLabels"].update(pairs)


def _set_image(resources: list[Resource], wish: dict[str, str]) -> None:
    for resource in resources:
        spec = (
            resource.get("spec", {}).get("template", {}).get("spec", {})
            if isinstance(resource.get("spec"), dict)
            else {}
        )
        for container in [*spec.get("containers", []), *spec.get("initContainers", [])]:
            if re.split("[:@]", container["image"])[0] == wish["name"]:
                tag = f"@{wish['digest']}" if "digest" in wish else f":{wish['newTag']}"
                container["image"] = wish.get("newName", wish["name"]) + tag
