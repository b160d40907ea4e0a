import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from marshmallow import ValidationError

from common.errors import Unauthenticated
from common.security.jwks import StaticKeys, parse
from common.security.tokens import Verifier
from services.users.domain import token_claims
from services.users.signing import (
    MAX_PUBLIC_KEYS,
    Signer,
    check_key,
    check_public_keys,
    read_key,
    read_public_keys,
    thumbprint,
)
from services.users.tests.accounts import signing_key
from services.users.tests.test_domain import _NOW, _USER


def test_the_key_id_is_the_thumbprint_of_rfc_8037() -> None:
    # The example of RFC 8037, appendices A.2 and A.3.
    x = base64.urlsafe_b64decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
    assert thumbprint(Ed25519PublicKey.from_public_bytes(x)) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_published_keys_verify_signed_tokens() -> None:
    signer = Signer(read_key(signing_key()))
    claims = token_claims(_USER, token_id="t1", now=_NOW) | {"exp": 4_000_000_000}
    for keys in (StaticKeys(parse(signer.jwks())), signer.keys()):
        assert Verifier(keys).verify(signer.sign(claims)).is_operator


def test_only_the_public_half_is_published() -> None:
    (jwk,) = Signer(read_key(signing_key())).jwks()["keys"]
    assert set(jwk) == {"kty", "crv", "x", "kid", "use", "alg"}


def _public(signer: Signer) -> str:
    """The public key, as copied from the key set of a running service."""
    return str(signer.jwks()["keys"][0]["x"])


def test_rotating_a_key_rejects_no_valid_token() -> None:
    claims = token_claims(_USER, token_id="t1", now=_NOW) | {"exp": 4_000_000_000}
    old_key, new_key = read_key(signing_key()), read_key(signing_key())
    both = f"{_public(Signer(old_key))}, {_public(Signer(new_key))}"
    announced = Signer(old_key, read_public_keys(both))
    changed = Signer(new_key, read_public_keys(both))
    assert [len(each.jwks()["keys"]) for each in (announced, changed)] == [2, 2]
    # During a rollout each replica receives the tokens of the other, and either may serve the keys.
    for published in (announced, changed):
        for keys in (StaticKeys(parse(published.jwks())), published.keys()):
            for signer in (announced, changed):
                assert Verifier(keys).verify(signer.sign(claims)).is_operator
    with pytest.raises(Unauthenticated):
        Verifier(StaticKeys(parse(Signer(new_key).jwks()))).verify(announced.sign(claims))


@pytest.mark.parametrize("value", ["", "  "])
def test_other_keys_are_optional(value: str) -> None:
    assert read_public_keys(value) == []


@pytest.mark.parametrize(
    "value",
    ["nonsense", ",", signing_key(), "a" * 42, "a" * 44, "a" * 42 + "+", ",".join(["a" * 43] * (MAX_PUBLIC_KEYS + 1))],
)
def test_an_invalid_list_of_public_keys_is_rejected_without_revealing_it(value: str) -> None:
    with pytest.raises(ValidationError) as caught:
        check_public_keys(value)
    assert value == "," or value not in str(caught.value)


def _pem(key: Ed25519PrivateKey | X25519PrivateKey, encryption: KeySerializationEncryption) -> str:
    return base64.b64encode(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)).decode()


@pytest.mark.parametrize(
    "value",
    [
        "nonsense",
        "not base64!",
        base64.b64encode(b"not a key").decode(),
        base64.b64encode(b"x" * 32).decode(),
        signing_key()[:-20],
        _pem(X25519PrivateKey.generate(), NoEncryption()),
        _pem(Ed25519PrivateKey.generate(), BestAvailableEncryption(b"secret")),
    ],
)
def test_another_kind_of_key_is_rejected_without_revealing_it(value: str) -> None:
    with pytest.raises(ValidationError) as caught:
        check_key(value)
    assert value not in str(caught.value)
