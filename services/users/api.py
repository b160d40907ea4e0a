"""The routes of users: parse, call one use case, render."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

from flask import Response, jsonify

from common.errors import NotFound, Unauthenticated
from common.security.auth import caller, public
from common.security.service_credentials import for_services
from common.web import app_factory
from common.web.client_address import client_network
from common.web.error_responses import raises
from common.web.openapi import Blueprint
from common.web.pagination import PageQuerySchema, page_schema, render_page
from common.web.rate_limits import rate_limited
from common.web.request import render, request_key, request_message_context
from services.users import usecases
from services.users.domain import (
    EmailTakenError,
    InvalidCredentialsError,
    TooManyGuessesError,
    UsernameTakenError,
    WeakPasswordError,
)
from services.users.fair_slots import SlotsTakenError, TooManySignInsError
from services.users.schemas import (
    ApiKeySchema,
    ContactSchema,
    ContactsRequestSchema,
    ContactsSchema,
    NewApiKeySchema,
    NewUserSchema,
    NothingSchema,
    TokenRequestSchema,
    TokenSchema,
    UserRequestSchema,
    UserSchema,
)
from services.users.usecases import Credentials, RegisterUser

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from services.users.usecases import Context

View = TypeVar("View", bound="Callable[..., Any]")
users = Blueprint("users", __name__, url_prefix="/api/v1", description="Accounts, API keys and tokens")
keys = Blueprint("keys", __name__, url_prefix="/.well-known", description="The public keys of access tokens")
internal = Blueprint(
    "internal",
    __name__,
    url_prefix="/internal/v1",
    description="Internal routes for other services; the gateway does not forward them",
)

KEYS_MAX_AGE_SECONDS = 60


@users.route("/users", methods=["POST"])
@public
@rate_limited
@users.idempotent()
@users.arguments(UserRequestSchema)
@users.response(201, NewUserSchema)
@raises(WeakPasswordError, UsernameTakenError, EmailTakenError, TooManySignInsError, SlotsTakenError)
def register_user(body: dict[str, Any]) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Register. Without a password the response contains an API key, shown only once."""
    key = request_key(secrets=("password",))
    command = RegisterUser(**body)
    return render(
        usecases.register_user(
            _context(), command, network=client_network(), message_context=request_message_context(), request_key=key
        )
    )


@users.route("/users/me")
@users.response(200, UserSchema)
@raises(NotFound)
def get_me() -> dict[str, Any]:
    """The user of the token."""
    return usecases.get_user(_context(), caller().id)


@users.route("/tokens", methods=["POST"])
@public
@rate_limited
@users.arguments(TokenRequestSchema)
@users.response(200, TokenSchema)
@raises(InvalidCredentialsError, TooManyGuessesError, TooManySignInsError, SlotsTakenError)
def issue_token(body: dict[str, Any]) -> dict[str, Any]:
    """Get an access token for a password or an API key."""
    return usecases.issue_token(_context(), Credentials(**body), network=client_network())


@users.route("/api-keys", methods=["POST"])
@users.idempotent()
@users.arguments(NothingSchema, required=False)
@users.response(201, NewApiKeySchema)
@raises(NotFound)
def create_api_key(_nothing: dict[str, Any]) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Create another API key, shown only once."""
    return render(usecases.create_api_key(_context(), caller().id, request_key=request_key()))


@users.route("/api-keys")
@users.arguments(PageQuerySchema, location="query")
@users.response(200, page_schema(ApiKeySchema))
def list_api_keys(query: dict[str, Any]) -> dict[str, Any]:
    """Your API keys, newest first."""
    page = query["page"]
    rows = usecases.list_api_keys(_context(), caller().id, before=page.starting_after, limit=page.fetch)
    return render_page(rows, page)


@users.route("/api-keys/<uuid:key_id>", methods=["DELETE"])
@users.response(204)
def delete_api_key(key_id: UUID) -> Response:
    """Delete one of your API keys. Its existing tokens stay valid until they expire."""
    usecases.delete_api_key(_context(), caller().id, str(key_id))
    return Response(status=204)


@keys.route("/jwks.json")
@public
@keys.response(200, {"type": "object", "properties": {"keys": {"type": "array", "items": {"type": "object"}}}})
def get_keys() -> Response:
    """The public keys of access tokens (RFC 7517)."""
    reply = jsonify(_context().signer.jwks())
    reply.cache_control.max_age = KEYS_MAX_AGE_SECONDS
    return reply


def _for_contact_credentials(view: View) -> View:
    """A view for services. Their credential is checked before the body is read."""

    @wraps(view)
    def guarded(*arguments: Any, **named: Any) -> Any:
        _context().contact_credentials.require()
        return view(*arguments, **named)

    return cast("View", for_services(guarded))


@internal.route("/users/<uuid:user_id>/contact")
@_for_contact_credentials
@internal.response(200, ContactSchema)
@raises(Unauthenticated, NotFound)
def get_contact(user_id: UUID) -> dict[str, Any]:
    """A user's name and e-mail address; requires a service credential (`CONTACT_TOKENS`) instead of a token."""
    return usecases.get_contact(_context(), str(user_id))


@internal.route("/contacts", methods=["POST"])
@_for_contact_credentials
@internal.arguments(ContactsRequestSchema)
@internal.response(200, ContactsSchema)
@raises(Unauthenticated)
def find_contacts(body: dict[str, Any]) -> dict[str, Any]:
    """The same of several users; an unknown id is left out. A POST, so that no log line names the users."""
    return usecases.find_contacts(_context(), body["user_ids"])


def _context() -> Context:
    return cast("Context", app_factory.context())
