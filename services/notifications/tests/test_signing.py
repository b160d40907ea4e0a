"""Signatures are verified by the public library; a stolen database reveals no secrets."""

from __future__ import annotations

import time

import pytest
from cryptography.fernet import Fernet
from standardwebhooks import Webhook, WebhookVerificationError

from services.notifications.signing import SecretBox, UnreadableSecretError, new_secret, sign

BODY = '{"type":"order.placed.v1","name":"caf\u00e9"}'.encode()


def test_the_public_library_verifies_a_signature() -> None:
    secret = new_secret()
    headers = sign([secret], "msg-1", int(time.time()), BODY)
    assert Webhook(secret).verify(BODY, headers)["type"] == "order.placed.v1"
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(BODY, headers)


def test_both_secrets_verify_during_a_rotation() -> None:
    old, new = new_secret(), new_secret()
    headers = sign([new, old], "msg-1", int(time.time()), BODY)
    assert Webhook(old).verify(BODY, headers)
    assert Webhook(new).verify(BODY, headers)


def test_secrets_are_long_and_random() -> None:
    assert new_secret().startswith("whsec_")
    assert len({new_secret() for _ in range(100)}) == 100


def test_an_encrypted_secret_is_decrypted_by_any_of_the_keys() -> None:
    first, second = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    secret = new_secret()  # long: three letters may occur in what is encrypted
    sealed = SecretBox(first).seal(secret)
    assert secret.removeprefix("whsec_") not in sealed
    assert SecretBox(f"{second}, {first}").open(sealed) == secret
    with pytest.raises(UnreadableSecretError):
        SecretBox(second).open(sealed)


def test_an_invalid_encryption_key_is_rejected() -> None:
    for keys in ("", "short", f"{Fernet.generate_key().decode()},"):
        with pytest.raises(ValueError, match=r"\S"):
            SecretBox(keys)
