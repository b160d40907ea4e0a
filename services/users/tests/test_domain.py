from datetime import UTC, datetime

import pytest

from services.users import domain
from services.users.domain import InvalidCredentialsError, Role, User

_NOW = datetime(2026, 11, 2, 9, 15, tzinfo=UTC)
_USER = User(id="u1", username="a", email="a@b", role=Role.OPERATOR, password_hash=None, version=1, created_at=_NOW)


def test_an_api_key_contains_all_its_random_bytes() -> None:
    texts = {domain.api_key_text(bytes([byte]) * 32) for byte in range(256)}
    assert len(texts) == 256
    assert all(text.startswith("hf_") and len(text) == 46 for text in texts)


def test_a_hint_identifies_a_key_without_revealing_it() -> None:
    text = domain.api_key_text(bytes(range(32)))
    assert domain.api_key_hint(text) == "hf_AAEC..."
    assert len(domain.api_key_digest(text)) == 32


def test_a_token_is_valid_for_an_hour_and_names_user_and_role() -> None:
    claims = domain.token_claims(_USER, token_id="t1", now=_NOW)
    assert claims["exp"] - claims["iat"] == 3600
    assert claims["iat"] == int(_NOW.timestamp())
    assert {name: claims[name] for name in ("iss", "aud", "sub", "role", "jti")} == {
        "iss": "holdfast",
        "aud": "holdfast",
        "sub": "u1",
        "role": "operator",
        "jti": "t1",
    }


def test_wrong_credentials_are_401() -> None:
    with pytest.raises(InvalidCredentialsError) as caught:
        raise InvalidCredentialsError
    assert (caught.value.status, caught.value.code) == (401, "invalid_credentials")
