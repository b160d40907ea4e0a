"""Acknowledges many messages of a channel with few frames.

Guarantee: an acknowledgement for "everything up to this tag" is sent only if every message below is settled, or is
acknowledged with it. Tags count per channel: a message of another channel is never acknowledged on this one. Called by
one thread, the one that reads the connection.
Source: https://www.rabbitmq.com/docs/confirms#consumer-acks-multiple-parameter
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

_log = logging.getLogger(__name__)  # kombu's messages log by it


class Acknowledger:
    """The messages that were delivered on one channel and are not settled."""

    def __init__(self, connection_errors: Any) -> None:
        self._connection_errors = connection_errors
        self._unsettled: dict[int, Any] = {}  # by tag, in the order of delivery, which is that of the tags

    def received(self, message: Any) -> None:
        self._forget_settled()
        self._unsettled[message.delivery_tag] = message

    def acknowledge(self, messages: Iterable[Any]) -> None:
        """Settle `messages`: one frame for those below which nothing is open, one frame each for the others."""
        tags = {message.delivery_tag for message in messages if self._is_ours(message)}
        together = None
        for tag, message in list(self._unsettled.items()):
            if tag in tags:
                together = message
            elif not message.acknowledged:
                break
            del self._unsettled[tag]
        if together is not None:
            self._send(together, multiple=True)
        for tag in tags & self._unsettled.keys():
            self._send(self._unsettled.pop(tag), multiple=False)

    def _is_ours(self, message: Any) -> bool:
        return self._unsettled.get(message.delivery_tag) is message

    def _send(self, message: Any, *, multiple: bool) -> None:
        message.ack_log_error(_log, self._connection_errors, multiple=multiple)

    def _forget_settled(self) -> None:
        """Messages are settled by others, too: those that are handled alone, or rejected."""
        while self._unsettled:
            tag = next(iter(self._unsettled))
            if not self._unsettled[tag].acknowledged:
                return
            del self._unsettled[tag]
