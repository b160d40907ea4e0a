"""Forged, expired and foreign tokens: none gets in."""

import base64
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from common.errors import Unauthenticated
from common.security import tokens
from common.security.jwks import StaticKeys
from common.security.tokens import LEEWAY_SECONDS, MAX_TOKEN_BYTES, Caller, Verifier
from common.tests.sample_service import KEY, KID, token

_CLAIMS = {"iss": "holdfast", "aud": "holdfast", "sub": "u1", "role": "operator", "iat": 1, "exp": 4_000_000_000}


def _verify(text: str) -> Caller:
    return Verifier(StaticKeys({KID: KEY.public_key()})).verify(text)


def _part(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def test_a_good_token_names_its_caller() -> None:
    assert _verify(token(sub="u7", role="operator")) == Caller("u7", "operator")
    assert _verify(token()).is_operator is False


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "somebody"},
        {"iss": None},
        {"aud": "somebody"},
        {"aud": None},
        {"exp": None},
        {"exp": "soon"},
        {"iat": None},
        {"iat": int(time.time()) + 86_400},
        {"nbf": int(time.time()) + 86_400},
        {"sub": None},
        {"sub": 7},
        {"role": None},
        {"role": "admin"},
        {"role": ["operator"]},
    ],
)
def test_wrong_claims(changes: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated) as caught:
        _verify(token(**changes))
    assert (caught.value.status, caught.value.code) == (401, "invalid_token")


def test_an_expired_token_says_so() -> None:
    with pytest.raises(Unauthenticated) as caught:
        _verify(token(exp=int(time.time()) - LEEWAY_SECONDS - 1))
    assert caught.value.code == "token_expired"


def test_clocks_may_differ_a_little() -> None:
    assert _verify(token(exp=int(time.time()) - 1)).id == "u1"


def _public_bytes(encoding: Encoding, form: PublicFormat) -> bytes:
    return KEY.public_key().public_bytes(encoding, form)


def _forgeries() -> dict[str, str]:
    raw = _public_bytes(Encoding.Raw, PublicFormat.Raw)
    other_customer = Ed25519PrivateKey.generate()
    header, claims, signature = token().split(".")
    signed_by = {"alg": "EdDSA", "kid": KID}
    return {
        "no algorithm": f"{_part({'alg': 'none', 'kid': KID})}.{_part(_CLAIMS)}.",
        "no algorithm, with a signature": f"{_part({'alg': 'None', 'kid': KID})}.{_part(_CLAIMS)}.{signature}",
        "the public key as a shared secret": jwt.encode(_CLAIMS, raw, algorithm="HS256", headers={"kid": KID}),
        "another key": jwt.encode(_CLAIMS, other_customer, algorithm="EdDSA", headers={"kid": KID}),
        "an unknown key": jwt.encode(_CLAIMS, other_customer, algorithm="EdDSA", headers={"kid": "other"}),
        "no key id": jwt.encode(_CLAIMS, KEY, algorithm="EdDSA"),
        "a key id that is no text": f"{_part({'alg': 'EdDSA', 'kid': [1]})}.{claims}.{signature}",
        "other claims under the signature": f"{header}.{_part(_CLAIMS)}.{signature}",
        "no signature": f"{header}.{claims}.",
        "a critical extension": f"{_part(signed_by | {'crit': ['b64'], 'b64': False})}.{claims}.{signature}",
        "two parts": f"{header}.{claims}",
        "nonsense": "nonsense",
        "empty": "",
        "claims that are no object": f"{header}.{_part([1])}.{signature}",
        "a header that is no JSON": f"{_part('{')}.{claims}.{signature}",
        "a deep header": f"{_part('[' * 2000)}.{claims}.{signature}",
        "an endless number": f"{_part('1' * 2500)}.{claims}.{signature}",
        "too long": token(extra="x" * MAX_TOKEN_BYTES),
        "not ASCII": token() + "ä",
        "NUL": token() + "\x00",
    }


@pytest.mark.parametrize("kind", list(_forgeries()))
def test_forged_tokens(kind: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        _verify(_forgeries()[kind])
    assert (caught.value.status, caught.value.code) == (401, "invalid_token")


def _count_checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens whose signature was checked, in order."""
    checked: list[str] = []
    decode = jwt.decode

    def counting(text: str, *arguments: Any, **options: Any) -> Any:
        checked.append(text)
        return decode(text, *arguments, **options)

    monkeypatch.setattr(jwt, "decode", counting)
    return checked


def test_the_signature_is_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    checked = _count_checks(monkeypatch)
    verifier = Verifier(StaticKeys({KID: KEY.public_key()}))
    text = token()
    assert {verifier.verify(text).id for _ in range(5)} == {"u1"}
    assert checked == [text]


def test_a_remembered_token_ends_with_its_key() -> None:
    trusted = {KID: KEY.public_key()}
    verifier = Verifier(StaticKeys(trusted))
    text = token()
    assert verifier.verify(text).id == "u1"
    del trusted[KID]
    with pytest.raises(Unauthenticated) as caught:
        verifier.verify(text)
    assert caught.value.code == "invalid_token"


def test_a_remembered_token_expires_all_the_same() -> None:
    verifier = Verifier(StaticKeys({KID: KEY.public_key()}))
    expires = int(time.time()) + 3  # with the leeway; of a single second there may be nothing left
    text = token(exp=expires - LEEWAY_SECONDS)
    assert verifier.verify(text).id == "u1"
    while time.time() <= expires:
        time.sleep(0.1)
    with pytest.raises(Unauthenticated) as caught:
        verifier.verify(text)
    assert caught.value.code == "token_expired"


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_MAX_CACHED", 2)
    checked = _count_checks(monkeypatch)
    verifier = Verifier(StaticKeys({KID: KEY.public_key()}))
    first, *others = (token(sub=f"u{number}") for number in range(3))
    for text in (first, *others, first):
        verifier.verify(text)
    assert checked == [first, *others, first]
