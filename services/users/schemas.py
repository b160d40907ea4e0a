"""The bodies of the users API."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from common.schemas import StrictSchema, id_field, text_field
from services.users.domain import MAX_CONTACTS, MAX_PASSWORD_LENGTH, MIN_PASSWORD_LENGTH, Role

USERNAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
EMAIL = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]+)*"


def username_field(**options: Any) -> fields.String:
    return text_field(low=1, high=50, pattern=USERNAME, **options)


def email_field(**options: Any) -> fields.String:
    """A valid address by HTML's definition, limited to the length of RFC 5321. Only an e-mail can verify the rest."""
    return text_field(low=3, high=254, pattern=EMAIL, **options)


class UserRequestSchema(StrictSchema):
    username = username_field(required=True, metadata={"example": "johndoe"})
    email = email_field(required=True, metadata={"example": "john.doe@example.com"})
    password = text_field(
        low=MIN_PASSWORD_LENGTH,
        high=MAX_PASSWORD_LENGTH,
        load_only=True,
        metadata={"description": "a strong password; without it you get an API key"},
    )


class UserSchema(Schema):
    id = fields.String(required=True, metadata={"format": "uuid"})
    username = fields.String(required=True)
    email = fields.String(required=True)
    role = fields.String(required=True, validate=validate.OneOf([role.value for role in Role]))
    version = fields.Integer(required=True, metadata={"description": "the number of events about this user"})
    created_at = fields.String(required=True, metadata={"format": "date-time"})


class ContactSchema(Schema):
    username = fields.String(required=True)
    email = fields.String(required=True)


class ContactsRequestSchema(StrictSchema):
    user_ids = fields.List(id_field(), required=True, validate=validate.Length(min=1, max=MAX_CONTACTS))


class UsersContactSchema(ContactSchema):
    user_id = fields.String(required=True, metadata={"format": "uuid"})


class ContactsSchema(Schema):
    contacts = fields.List(fields.Nested(UsersContactSchema), required=True)


class NewUserSchema(UserSchema):
    api_key = fields.String(metadata={"description": "shown only once, if no password was given"})


class TokenRequestSchema(StrictSchema):
    """{"api_key"}, {"username", "password"} or {"email", "password"}."""

    username = username_field()
    email = email_field()
    password = text_field(high=1024)
    api_key = text_field(high=255)

    @validates_schema(skip_on_field_errors=True)
    def check_combination(self, values: dict[str, Any], **_kwargs: Any) -> None:
        if set(values) not in ({"api_key"}, {"username", "password"}, {"email", "password"}):
            raise ValidationError("Send api_key, or password with either username or email.")


class TokenSchema(Schema):
    access_token = fields.String(required=True)
    token_type = fields.String(required=True, validate=validate.Equal("Bearer"))
    expires_in = fields.Integer(required=True, metadata={"description": "seconds"})


class NothingSchema(StrictSchema):
    """An optional, empty body."""


class ApiKeySchema(Schema):
    id = fields.String(required=True, metadata={"format": "uuid"})
    hint = fields.String(required=True, metadata={"description": "the first characters of the key"})
    created_at = fields.String(required=True, metadata={"format": "date-time"})


class NewApiKeySchema(ApiKeySchema):
    api_key = fields.String(metadata={"description": "shown this once"})
