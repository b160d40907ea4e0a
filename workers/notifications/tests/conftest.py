"""The fixtures of the context."""

from services.notifications.tests.conftest import make_dispatcher, receiver, store

__all__ = ["make_dispatcher", "receiver", "store"]
