"""Forged tokens are rejected."""

import time
import uuid
from base64 import b64decode
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from infrastructure.local.stack import Stack
from tests.e2e.api import Api, answer, problem
from tests.e2e.shop import ORDERS, Customer, Shop, order_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


class Forger:
    """Creates tokens with changed claims, signed with the users service's own key."""

    def __init__(self, stack: Stack, token: str) -> None:
        self.claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
        self.headers = {"kid": jwt.get_unverified_header(token)["kid"]}
        key = load_pem_private_key(b64decode(stack.credentials.token_signing_key), None)
        assert isinstance(key, Ed25519PrivateKey)
        self.key = key

    def make(self, **changes: Any) -> str:
        return jwt.encode(self.claims | changes, self.key, algorithm="EdDSA", headers=self.headers)


@pytest.fixture
def forger(stack: Stack, customer: Customer) -> Forger:
    return Forger(stack, customer.token)


def try_it(customer: Customer, token: str) -> tuple[int, str]:
    """Place an order with the token; returns status and code, and checks that there is no order."""
    reply = Api(customer.api.url, token).post(ORDERS, order_of({"ANY": 1}), key=str(uuid.uuid4()))
    assert reply.headers["WWW-Authenticate"].startswith("Bearer")
    assert customer.api.all(ORDERS) == []
    return problem(reply)


def test_an_unchanged_token_is_accepted(customer: Customer, forger: Forger) -> None:
    me = answer(Api(customer.api.url, forger.make()).get("/api/v1/users/me"))
    assert me["id"] == customer.id


def test_an_expired_token_is_rejected(customer: Customer, forger: Forger) -> None:
    past = int(time.time()) - 3600
    assert try_it(customer, forger.make(exp=past, iat=past - 3600)) == (401, "token_expired")


@pytest.mark.parametrize(
    "changes",
    [{"aud": "another-system"}, {"iss": "another-issuer"}, {"exp": "never"}, {"sub": 7}],
    ids=lambda changes: next(iter(changes)),
)
def test_a_token_with_wrong_claims_is_rejected(customer: Customer, forger: Forger, changes: dict[str, Any]) -> None:
    if changes == {"sub": 7}:
        forger.claims.pop("sub")
        changes = {}
    assert try_it(customer, forger.make(**changes)) == (401, "invalid_token")


def test_a_token_with_a_foreign_signature_is_rejected(shop: Shop, customer: Customer, forger: Forger) -> None:
    forger.key = Ed25519PrivateKey.generate()
    assert try_it(customer, forger.make()) == (401, "invalid_token")
    assert try_it(customer, forger.make(role="operator")) == (401, "invalid_token")


def test_a_token_with_an_unknown_key_id_is_rejected(customer: Customer, forger: Forger) -> None:
    forger.headers = {"kid": "another"}
    assert try_it(customer, forger.make()) == (401, "invalid_token")


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_a_token_with_another_algorithm_is_rejected(
    shop: Shop, customer: Customer, forger: Forger, algorithm: str
) -> None:
    published = answer(shop.anyone.get("/.well-known/jwks.json"))["keys"][0]["x"]
    secret = "" if algorithm == "none" else str(published)
    claims = forger.claims | {"role": "operator"}
    token = jwt.encode(claims, secret, algorithm=algorithm, headers=forger.headers)
    assert try_it(customer, token) == (401, "invalid_token")


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "..", "é" * 20, "x" * 9000])
def test_a_missing_token_is_rejected(customer: Customer, token: str) -> None:
    reply = customer.api.send("GET", ORDERS, headers={"Authorization": f"Bearer {token}".encode()})
    assert problem(reply) == (401, "invalid_token")


@pytest.mark.parametrize("header", ["Basic am9obmRvZTpzZWNyZXQ=", "Bearer", "Bearer ", "Token abc"])
def test_another_authorization_scheme_is_rejected(customer: Customer, header: str) -> None:
    reply = customer.api.send("GET", ORDERS, headers={"Authorization": header})
    assert problem(reply) == (401, "unauthenticated")


def test_a_customer_cannot_become_an_operator(shop: Shop, customer: Customer) -> None:
    assert problem(customer.api.get("/api/v1/events")) == (403, "forbidden")
    assert problem(customer.api.post("/api/v1/products", {})) == (403, "forbidden")
