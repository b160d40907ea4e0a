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

from common.jwks import StaticKeys, parse
from common.tokens import Verifier
from services.users.domain import token_claims
from services.users.signing import Signer, check_key, read_key, thumbprint
from services.users.tests.accounts import signing_key
from services.users.tests.test_domain import _NOW, _USER


def test_the_key_id_is_the_thumbprint_of_rfc_8037() -> None:
    # The example of RFC 8037, appendices A.2 and A.3.
    x = base64.urlsafe_b64decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
    assert thumbprint(Ed25519PublicKey.from_public_bytes(x)) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_what_it_signs_its_published_keys_verify() -> None:
    signer = Signer(read_key(signing_key()))
    claims = token_claims(_USER, token_id="t1", now=_NOW) | {"exp": 4_000_000_000}
    for keys in (StaticKeys(parse(signer.jwks())), signer.keys()):
        assert Verifier(keys).verify(signer.sign(claims)).is_operator


def test_only_the_public_half_is_published() -> None:
    (jwk,) = Signer(read_key(signing_key())).jwks()["keys"]
    assert set(jwk) == {"kty", "crv", "x", "kid", "use", "alg"}


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
def test_another_kind_of_key_is_refused_without_being_shown(value: str) -> None:
    with pytest.raises(ValidationError) as caught:
        check_key(value)
    assert value not in str(caught.value)
