"""A webhook endpoint of this run that misbehaves for a while. In the end it receives all its webhooks, signed.

The endpoint stays registered until the run was checked: the checker reads its deliveries for P6.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import requests

from chaos_tests.actions.evidence import result, wait_until
from chaos_tests.actions.faulty_receiver import FaultyReceiver, Misbehaviour
from chaos_tests.runners.drivers.driver import driver_of, local
from holdfast.client import ApiError
from holdfast.webhooks.subscribing import ENDPOINTS, OF_ORDERS, register, wait_until_subscribed

if TYPE_CHECKING:
    from holdfast.client import Client

ARRIVED_SECONDS = 120.0


@dataclass
class _Endpoint:
    receiver: FaultyReceiver
    place: str
    began_at: str


_ENDPOINTS: dict[str, _Endpoint] = {}  # by the endpoint's id: of this process


def subscribe(configuration: dict[str, Any]) -> dict[str, Any]:
    """Register an endpoint on this machine for the events of all orders, which responds normally."""
    client, receiver = _operator(configuration), FaultyReceiver()
    began_at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    place = register(client, receiver, OF_ORDERS)
    endpoint_id = place.rpartition("/")[2]
    local(configuration).journal.add(unsubscribe, {"endpoint_id": endpoint_id}, of_the_run=True)
    _ENDPOINTS[endpoint_id] = _Endpoint(receiver, place, began_at)
    wait_until_subscribed(client, place)
    return result(f"endpoint {endpoint_id} was subscribed")


def misbehave(fault: dict[str, Any], configuration: dict[str, Any]) -> dict[str, Any]:
    """Let the endpoint misbehave: `kind` and `seconds` of a `Misbehaviour`."""
    local(configuration).journal.add(behave, {})
    _endpoint().receiver.misbehave(Misbehaviour(**fault))
    return result(f"the endpoint was {fault['kind']}")


def behave(configuration: dict[str, Any]) -> dict[str, Any]:
    """Let it respond normally again, if it belongs to this process."""
    for each in _ENDPOINTS.values():
        each.receiver.behave()
    local(configuration).journal.remove(behave, {})
    return result("the endpoint answered well")


def deliver_all(fault: dict[str, Any], configuration: dict[str, Any]) -> dict[str, Any]:
    """Disable the endpoint, so that waiting deliveries are listed as failed; enable it, resend them all, and wait until
    they arrive.

    Raises TimeoutError if one does not.
    """
    client, endpoint = _operator(configuration), _endpoint()
    disturbed = _disturbed(client, endpoint, fault)
    for enabled in (False, True):
        client.call("PATCH", endpoint.place, body={"enabled": enabled})
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def is_all_there() -> bool:
        made = [each for each in client.all(f"{endpoint.place}/deliveries") if each["created_at"] < now]
        if any(each["status"] == "failed" for each in made):
            client.post(f"{endpoint.place}/resend", {"since": endpoint.began_at})
            return False
        arrived = {each["event_id"] for each in made} <= endpoint.receiver.verified
        return bool(made) and arrived and all(each["status"] == "delivered" for each in made)

    took = wait_until(is_all_there, ARRIVED_SECONDS, "every webhook arrives")
    if endpoint.receiver.forged:
        message = f"{endpoint.receiver.forged} webhooks were not signed as they should be"
        raise ValueError(message)
    disturbed |= _disturbed(client, endpoint, fault)  # with attempts whose time-out came after a short fault
    text = f"{len(disturbed)} deliveries met the fault; {len(endpoint.receiver.verified)} arrived and were verified"
    return result(f"{text}, the last {took:.1f} s after it", took_effect=bool(disturbed))


def unsubscribe(endpoint_id: str, configuration: dict[str, Any]) -> dict[str, Any]:
    """Delete the endpoint."""
    with suppress(ApiError):
        _operator(configuration).call("DELETE", f"{ENDPOINTS}/{endpoint_id}")
    if endpoint := _ENDPOINTS.pop(endpoint_id, None):
        endpoint.receiver.stop()
    driver_of(configuration).journal.remove(unsubscribe, {"endpoint_id": endpoint_id})
    return result(f"endpoint {endpoint_id} was deleted")


def unsubscribe_all(configuration: dict[str, Any]) -> None:
    """Delete the endpoints of this process. One that cannot be deleted now stays recorded."""
    for endpoint_id in list(_ENDPOINTS):
        with suppress(requests.RequestException):
            unsubscribe(endpoint_id, configuration)


def _endpoint() -> _Endpoint:
    """The newest. Raises `LookupError` if there is none."""
    if not _ENDPOINTS:
        raise LookupError("no endpoint was subscribed in this process")
    return list(_ENDPOINTS.values())[-1]


def _operator(configuration: dict[str, Any]) -> Client:
    return driver_of(configuration).target().operator(patient=True)


def _disturbed(client: Client, endpoint: _Endpoint, fault: dict[str, Any]) -> set[str]:
    """The event ids of the deliveries that met the fault so far."""
    return {each["event_id"] for each in client.all(f"{endpoint.place}/deliveries") if _is_disturbed(each, fault)}


def _is_disturbed(delivery: dict[str, Any], fault: dict[str, Any]) -> bool:
    """Whether an attempt failed, or took as long as the fault's delay."""
    return any(
        each["error"] or (fault.get("seconds") and each["latency_seconds"] >= fault["seconds"])
        for each in delivery["history"]
    )
