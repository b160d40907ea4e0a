"""The fixtures of the service's tests."""

from services.notifications.tests.conftest import document_store, make_dispatcher, receiver, store

__all__ = ["document_store", "make_dispatcher", "receiver", "store"]
