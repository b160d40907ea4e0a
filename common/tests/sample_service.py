"""A small service with every feature of the app factory, for its tests."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from marshmallow import fields, validate

from common.errors import Conflict, Contention, LockTimeout, Unavailable, Undecided
from common.schemas import Integer, MoneySchema, StrictSchema, text_field
from common.security.auth import caller, operators_only, public, require_operator
from common.security.jwks import StaticKeys
from common.security.tokens import Verifier
from common.settings import DatabaseSettings, HttpSettings, load
from common.web import app_factory
from common.web.error_responses import raises
from common.web.openapi import Blueprint
from common.web.pagination import PageQuerySchema, page_schema, render_page
from common.web.rate_limits import rate_limited
from common.web.request import request_id, request_message_context

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.test import TestResponse

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))  # the same in the test and in the process that it starts
KID = "the-key"
VERIFIER = Verifier(StaticKeys({KID: KEY.public_key()}))
SETTINGS = HttpSettings(log_level="WARNING", service_port=1, service_host="127.0.0.1", service_threads=2)


class ThingGoneError(Conflict):
    code = "thing_gone"


class PartSchema(StrictSchema):
    name = text_field(high=20, required=True)


class ThingSchema(StrictSchema):
    name = text_field(high=20, required=True)
    count = Integer(validate=validate.Range(min=1, max=100))
    price = fields.Nested(MoneySchema)
    parts = fields.List(fields.Nested(PartSchema))


def token(**changes: Any) -> str:
    """A valid token, with some claims changed; None removes one."""
    now = int(time.time())
    claims = {"iss": "holdfast", "aud": "holdfast", "sub": "u1", "role": "customer", "iat": now, "exp": now + 3600}
    claims = {name: value for name, value in (claims | changes).items() if value is not None}
    return jwt.encode(claims, KEY, algorithm="EdDSA", headers={"kid": KID})


def bearer(**changes: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(**changes)}"}


def answer(reply: TestResponse) -> Any:
    """The reply's JSON."""
    return reply.get_json()


def make_app(settings: HttpSettings = SETTINGS, **options: Any) -> Flask:
    options = dict[str, Any]({"ready_checks": {}, "verifier": VERIFIER}) | options
    return app_factory.create_app("things", settings, blueprints=[_blueprint()], **options)


def make_served_app() -> Flask:
    """The app of a process of its own, with the settings of its environment."""
    return make_app(load(HttpSettings))


def make_app_with_a_slow_check() -> Flask:
    """The service if whether it is ready took two seconds to find out."""
    return make_app(load(HttpSettings), ready_checks={"slow": partial(time.sleep, 2)})


def make_app_with_a_database() -> Flask:
    """The service if it had settings of its own, as every real one has."""
    load(DatabaseSettings)
    return make_app()


def _blueprint() -> Blueprint:
    things = Blueprint("things", __name__, url_prefix="/things")
    _add_trouble(things)

    @things.route("", methods=["POST"])
    @public
    @things.idempotent()
    @things.arguments(ThingSchema)
    @things.response(201, ThingSchema)
    def make(body: dict[str, Any]) -> dict[str, Any]:
        """Make a thing."""
        return body

    @things.route("")
    @things.arguments(PageQuerySchema, location="query")
    @things.response(200, page_schema(ThingSchema))
    def index(query: dict[str, Any]) -> dict[str, Any]:
        rows = [{"name": f"thing {number}"} for number in range(query["page"].fetch)]
        return render_page(rows, query["page"])

    @things.route("/<name>")
    @things.response(200)
    def show(name: str) -> dict[str, Any]:
        message_context = request_message_context()
        return {"name": name, "caller": caller().id, "id": request_id(), "traceparent": message_context.traceparent}

    @things.route("/recall", methods=["POST"])
    @operators_only
    @things.arguments(ThingSchema)
    @things.response(200)
    def recall(_body: dict[str, Any]) -> dict[str, Any]:
        return {"by": require_operator().role}

    return things


def _add_trouble(things: Blueprint) -> None:
    tries: list[str] = []

    @things.route("/sign-in", methods=["POST"])
    @public
    @rate_limited
    @things.response(200)
    def sign_in() -> dict[str, Any]:
        return {}

    @things.route("/slow")
    @public
    @things.response(200)
    def slow() -> dict[str, Any]:
        time.sleep(1)
        return {"done": True}

    @things.route("/fail/<how>", methods=["POST"])
    @public
    @things.response(200)
    @raises(ThingGoneError, Undecided)
    def fail(how: str) -> dict[str, Any]:
        tries.append(how)
        failures: dict[str, Exception] = {
            "secretly": RuntimeError("the password is hunter2"),
            "domain": ThingGoneError("the thing is gone", errors={"name": ["gone"]}),
            "outage": Unavailable("the database at 10.0.0.1 is down"),
            "contention": Contention("two met"),
            "undecided": Undecided("the bank has not answered"),
        }
        if how == "twice" and len(tries) < 3:
            raise Contention("two met")
        if how == "locked" and len(tries) < 2:
            raise LockTimeout("held")
        if how in failures:
            raise failures[how]
        return {"tries": len(tries)}
