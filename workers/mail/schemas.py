"""The mail worker's readers of events of other contexts, and of the users service's response: only the fields it
uses.
"""

from __future__ import annotations

from marshmallow import fields

from common.schemas import TolerantMoneySchema, TolerantSchema, id_field, text_field

# The same as in the users service: no spaces, no control characters, only ASCII.
ADDRESS = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]+)*"


class OrderConfirmed(TolerantSchema):
    order_id = id_field(required=True)
    customer_id = id_field(required=True)
    total = fields.Nested(TolerantMoneySchema, required=True)


class OrderCancelled(TolerantSchema):
    order_id = id_field(required=True)
    customer_id = id_field(required=True)
    reason = text_field(high=100, required=True)


class ContactReply(TolerantSchema):
    """A user's contact; in a reply about several users each has a `user_id` too."""

    username = text_field(high=255, required=True)
    email = text_field(low=3, high=254, pattern=ADDRESS, required=True)
