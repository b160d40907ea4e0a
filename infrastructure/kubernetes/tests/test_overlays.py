"""What kubectl makes of the overlays."""

from infrastructure.kubernetes.tests.overlays import OVERLAYS, rendered


def test_names_are_unique() -> None:
    assert OVERLAYS
    for overlay in OVERLAYS:
        names = [(each["kind"], each["metadata"]["name"]) for each in rendered(overlay)]
        assert len(names) == len(set(names)), overlay
