"""Credentials of services: a process of the system calls an internal route of another one, which does not accept users'
tokens.

A credential is a random text that both have in their settings. To rotate it, each has the old and the new one for a
while: all of them are accepted, the first one is sent. The gateway forwards no internal route.
"""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING, Any, TypeVar

from flask import request
from marshmallow import ValidationError

from common.errors import Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Callable

View = TypeVar("View", bound="Callable[..., Any]")
_CREDENTIAL = re.compile(r"[A-Za-z0-9_-]{32,128}")


def check_credentials(value: str) -> None:
    """A check of settings. The message does not repeat the value."""
    if value and not all(map(_CREDENTIAL.fullmatch, value.split(","))):
        raise ValidationError("expected 32 to 128 letters, digits, - and _; several comma-separated")


def for_services(view: View) -> View:
    """Mark a view that does not accept users' tokens: it calls `ServiceCredentials.require` itself."""
    view.__dict__["public"] = True
    return view


class ServiceCredentials:
    """The credentials that one route accepts; with an empty text none."""

    def __init__(self, accepted: str) -> None:
        self._accepted = [each.encode() for each in accepted.split(",") if each]

    def require(self) -> None:
        """Raise `Unauthenticated` unless the current request carries one of them."""
        scheme, _, sent = request.headers.get("Authorization", "").partition(" ")
        # Compare each in constant time.
        matches = [hmac.compare_digest(each, sent.strip().encode()) for each in self._accepted]
        if scheme.lower() != "bearer" or not any(matches):
            raise Unauthenticated("send the credential of a service: Authorization: Bearer ...")
