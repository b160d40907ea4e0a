"""The events that users publishes: its public contract. Their subject is the user, their sequence its version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.messaging.events import Contract, Event, MessageContext
from common.schemas import StrictSchema, id_field, text_field

if TYPE_CHECKING:
    from services.users.domain import User

SOURCE = "/services/users"


class UserRegistered(StrictSchema):
    """It omits the e-mail address: events are kept for long and read by many."""

    user_id = id_field(required=True)
    username = text_field(high=50, required=True)


REGISTERED = Contract("user.registered.v1", SOURCE, UserRegistered(), "Somebody has registered.")
CONTRACTS = (REGISTERED,)


def user_registered(user: User, message_context: MessageContext) -> Event:
    data = {"user_id": user.id, "username": user.username}
    return REGISTERED.event(subject=user.id, sequence=user.version, data=data, message_context=message_context)
