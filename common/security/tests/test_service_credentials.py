"""Credentials of services, by themselves; services/users/tests/test_contact.py has a route with them."""

from __future__ import annotations

import pytest
from flask import Flask
from marshmallow import ValidationError

from common.errors import Unauthenticated
from common.security.service_credentials import ServiceCredentials, check_credentials

A, B = "a" * 32, "b" * 32


@pytest.mark.parametrize("value", ["", A, f"{A},{B}"])
def test_settings_of_random_text_pass(value: str) -> None:
    check_credentials(value)


@pytest.mark.parametrize("value", ["short-secret", f"{A},", f"{A}, {B}", A[:-1] + "\n", A[:-1] + "\u00e4"])
def test_others_are_refused_and_not_repeated(value: str) -> None:
    with pytest.raises(ValidationError) as caught:
        check_credentials(value)
    assert value not in str(caught.value)


@pytest.mark.parametrize(
    ("accepted", "sent", "is_let_in"), [(A, A, True), (f"{A},{B}", B, True), (A, B, False), ("", "", False)]
)
def test_only_what_is_accepted_is_let_in(accepted: str, sent: str, is_let_in: bool) -> None:
    with Flask("test").test_request_context(headers={"Authorization": f"Bearer {sent}"}):
        if is_let_in:
            ServiceCredentials(accepted).require()
        else:
            with pytest.raises(Unauthenticated):
                ServiceCredentials(accepted).require()
