"""The schema of faults in the admin API; invalid fields are reported one by one."""

import re
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, post_load, validate, validates_schema

from infrastructure.sandbox.decisions import OUTCOMES, REFUND_STATES
from infrastructure.sandbox.faults import BODIES, KINDS, MOST_FAULTS, OPERATIONS, Fault, Match

LONGEST_SECONDS = 300
PATTERN_LENGTH = 200
SHOWN_ONLY = ("id", "struck")  # read-only; silently accepted, so that a returned list can be sent again

# Additional fields of each kind, with their defaults.
EXTRAS: dict[str, dict[str, Any]] = {
    "error": {"status": 500},
    "error_after": {"status": 500},
    "latency": {"seconds": 1.0, "jitter_seconds": 0.0},
    "hang": {"seconds": 60.0, "after": False},
    "nonsense": {"after": False, "body": "html"},
    "rate_limit": {"seconds": 1.0},
    "refuse": {"code": "charge_disputed"},
    "undecided": {"outcome": "succeeded", "state": "pending"},
    "reset": {},
    "lost_answer": {},
}


class MatchSchema(Schema):
    class Meta:
        unknown = RAISE

    method = fields.String(validate=validate.OneOf(["GET", "POST"]))
    path = fields.String(validate=validate.Length(min=1, max=PATTERN_LENGTH))
    operation = fields.String(validate=validate.OneOf(OPERATIONS))

    @validates_schema
    def check_pattern(self, data: dict[str, Any], **_: Any) -> None:
        try:
            re.compile(data.get("path", ""))
        except re.error as error:
            raise ValidationError(f"Not a regular expression: {error}.", "path") from error

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> Match:
        return Match(**data)


class FaultSchema(Schema):
    class Meta:
        unknown = RAISE

    kind = fields.String(required=True, validate=validate.OneOf(KINDS))
    rate = fields.Float(validate=validate.Range(min=0, max=1))
    status = fields.Integer(strict=True, validate=validate.Range(min=500, max=599))
    seconds = fields.Float(validate=validate.Range(min=0, max=LONGEST_SECONDS))
    jitter_seconds = fields.Float(validate=validate.Range(min=0, max=LONGEST_SECONDS))
    after = fields.Boolean(truthy={True}, falsy={False})
    body = fields.String(validate=validate.OneOf(BODIES))
    code = fields.String(validate=validate.Regexp("[a-z_]{1,64}\\Z"))
    outcome = fields.String(validate=validate.OneOf(OUTCOMES))
    state = fields.String(validate=validate.OneOf(REFUND_STATES))
    match = fields.Nested(MatchSchema)
    remaining = fields.Integer(strict=True, allow_none=True, validate=validate.Range(min=0, max=10**9))
    seed = fields.Integer(strict=True, allow_none=True)
    id = fields.String()
    struck = fields.Integer()

    @validates_schema
    def check_kind(self, data: dict[str, Any], **_: Any) -> None:
        own = EXTRAS[data["kind"]]
        every = {name for extras in EXTRAS.values() for name in extras}
        for name in sorted((every - own.keys()) & data.keys()):
            raise ValidationError(f"Means nothing for the kind {data['kind']}.", name)

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> Fault:
        given = {name: value for name, value in data.items() if name not in SHOWN_ONLY}
        return Fault(**{**EXTRAS[data["kind"]], **given})


class FaultListSchema(Schema):
    """The list as `GET /faults` returns it, which can be restored with PUT."""

    class Meta:
        unknown = RAISE

    data = fields.List(fields.Nested(FaultSchema), required=True, validate=validate.Length(max=MOST_FAULTS))
    object = fields.Constant("list")
    has_more = fields.Boolean()
    url = fields.String()
