"""Every rendered resource is one that Kubernetes would take: checked strictly against its published schemas."""

from __future__ import annotations

import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from infrastructure.kubernetes.tests.overlays import OVERLAYS, rendered

VERSION = "1.35"  # the oldest that we support
BUILT_IN = {"v1", "apps/v1", "batch/v1", "policy/v1", "autoscaling/v2", "networking.k8s.io/v1"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_kubernetes_itself_defines_is_valid(overlay: str) -> None:
    checked = 0
    for each in rendered(overlay):
        if each["apiVersion"] in BUILT_IN:
            kubernetes_validate.validate(each, VERSION, strict=True)
            checked += 1
    assert checked > len(rendered(overlay)) / 2


def test_a_misspelt_field_is_found() -> None:
    wrong = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "x"}, "automountToken": False}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSION, strict=True)
