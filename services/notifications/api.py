"""The routes of webhook endpoints and their deliveries: parse, call one use case, render."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from common.errors import NotFound
from common.schemas import is_id
from common.security.auth import caller
from common.web import document_replies
from common.web import request as http
from common.web.app_factory import context
from common.web.error_responses import raises
from common.web.openapi import LOCATION, Blueprint
from common.web.pagination import Page, page_schema, render_page
from services.notifications import resending, usecases
from services.notifications.rendering import render_delivery, render_endpoint
from services.notifications.schemas import (
    ChangeEndpointSchema,
    CreateEndpointSchema,
    DeliveriesQuerySchema,
    DeliverySchema,
    EndpointSchema,
    EndpointsQuerySchema,
    EndpointWithSecretSchema,
    OrderDeliveriesQuerySchema,
    ResendFailedSchema,
    ResentSchema,
    RotateSecretSchema,
)

if TYPE_CHECKING:
    from services.notifications.resources import Resources

_DELIVERIES = page_schema(DeliverySchema)
View = tuple[dict[str, Any], int, dict[str, str]]
blueprint = Blueprint("webhooks", __name__, url_prefix="/api/v1", description="Signed webhooks (Standard Webhooks)")


@blueprint.route("/webhook-endpoints", methods=["POST"])
@blueprint.idempotent()
@blueprint.arguments(CreateEndpointSchema)
@blueprint.response(201, EndpointWithSecretSchema, headers=LOCATION)
@raises(usecases.TooManyEndpointsError)
def create_endpoint(body: dict[str, Any]) -> View:
    """Register an endpoint. The response has its signing secret, which is shown only once.

    A customer's endpoint receives events of their own orders, an operator's receives all.
    """
    rules = _resources().rules

    def act(database: Any, endpoint_id: str) -> dict[str, Any]:
        endpoint, secret = usecases.create_endpoint(database, rules, caller(), endpoint_id, body)
        return render_endpoint(endpoint, rules.policy, secret=secret)

    with _resources().store.use() as database:
        reply = document_replies.once(database, http.request_key(), 201, act, secrets=("secret",))
    reply.headers["Location"] = f"/api/v1/webhook-endpoints/{reply.body['id']}"
    return http.render(reply)


@blueprint.route("/webhook-endpoints", methods=["GET"])
@blueprint.arguments(EndpointsQuerySchema, location="query")
@blueprint.response(200, page_schema(EndpointSchema))
def list_endpoints(query: dict[str, Any]) -> dict[str, Any]:
    """List endpoints, newest first: a customer's own, or for an operator all."""
    page: Page = query["page"]
    resources = _resources()
    with resources.store.use() as database:
        found = usecases.list_endpoints(database, caller(), page, is_failing=query.get("health") == "failing")
    return render_page([render_endpoint(endpoint, resources.rules.policy) for endpoint in found], page)


@blueprint.route("/webhook-endpoints/<endpoint_id>", methods=["GET"])
@blueprint.response(200, EndpointSchema)
def get_endpoint(endpoint_id: str) -> dict[str, Any]:
    """One endpoint, with its recent responses."""
    resources = _resources()
    with resources.store.use() as database:
        found = usecases.get_endpoint(database, caller(), _id(endpoint_id))
    return render_endpoint(found, resources.rules.policy)


@blueprint.route("/webhook-endpoints/<endpoint_id>", methods=["PATCH"])
@blueprint.arguments(ChangeEndpointSchema)
@blueprint.response(200, EndpointSchema)
@raises(usecases.EndpointChangedError)
def change_endpoint(body: dict[str, Any], endpoint_id: str) -> dict[str, Any]:
    """Change the given fields. Disabling lists waiting deliveries as failed; enabling does not send them: see
    `resend`.
    """
    resources = _resources()
    with resources.store.use() as database:
        changed = usecases.change_endpoint(database, resources.rules, caller(), _id(endpoint_id), body)
    return render_endpoint(changed, resources.rules.policy)


@blueprint.route("/webhook-endpoints/<endpoint_id>", methods=["DELETE"])
@blueprint.response(204)
def delete_endpoint(endpoint_id: str) -> None:
    """Delete the endpoint and its deliveries."""
    with _resources().store.use() as database:
        usecases.delete_endpoint(database, caller(), _id(endpoint_id))


@blueprint.route("/webhook-endpoints/<endpoint_id>/rotate-secret", methods=["POST"])
@blueprint.idempotent()
@blueprint.arguments(RotateSecretSchema, required=False)
@blueprint.response(200, EndpointWithSecretSchema)
@raises(usecases.EndpointChangedError)
def rotate_secret(body: dict[str, Any], endpoint_id: str) -> View:
    """Create a new secret, shown only once. For a while, webhooks are also signed with the previous one."""
    rules, keep_seconds = _resources().rules, body["keep_previous_seconds"]

    def act(database: Any, _: str) -> dict[str, Any]:
        endpoint, secret = usecases.rotate_secret(
            database, rules, caller(), _id(endpoint_id), keep_seconds=keep_seconds
        )
        return render_endpoint(endpoint, rules.policy, secret=secret)

    with _resources().store.use() as database:
        return http.render(document_replies.once(database, http.request_key(), 200, act, secrets=("secret",)))


@blueprint.route("/webhook-endpoints/<endpoint_id>/test", methods=["POST"])
@blueprint.idempotent()
@blueprint.response(202, DeliverySchema)
@raises(resending.EndpointDisabledError)
def send_test(endpoint_id: str) -> View:
    """Send a test event (`webhook.test.v1`). The response is its delivery."""

    def act(database: Any, event_id: str) -> dict[str, Any]:
        delivery = resending.send_test(database, caller(), _id(endpoint_id), event_id)
        return render_delivery({}, delivery)

    with _resources().store.use() as database:
        return http.render(document_replies.once(database, http.request_key(), 202, act))


@blueprint.route("/webhook-endpoints/<endpoint_id>/deliveries", methods=["GET"])
@blueprint.arguments(DeliveriesQuerySchema, location="query")
@blueprint.response(200, _DELIVERIES)
@raises(usecases.UnknownCursorError)
def list_deliveries(query: dict[str, Any], endpoint_id: str) -> dict[str, Any]:
    """List deliveries, newest first. Delivered and dismissed ones are pruned by age."""
    page: Page = query.pop("page")
    with _resources().store.use() as database:
        endpoint, found = resending.list_deliveries(database, caller(), _id(endpoint_id), query, page)
    return render_page([render_delivery(endpoint, delivery) for delivery in found], page)


@blueprint.route("/webhook-endpoints/<endpoint_id>/resend", methods=["POST"])
@blueprint.idempotent()
@blueprint.arguments(ResendFailedSchema)
@blueprint.response(202, ResentSchema)
@raises(resending.EndpointDisabledError)
def resend_failed(body: dict[str, Any], endpoint_id: str) -> View:
    """Resend all failed deliveries created since a time."""

    def act(database: Any, _: str) -> dict[str, Any]:
        count = resending.resend_failed(
            database, caller(), _id(endpoint_id), since=body["since"], event_type=body.get("event_type")
        )
        return {"resent": count}

    with _resources().store.use() as database:
        return http.render(document_replies.once(database, http.request_key(), 202, act))


@blueprint.route("/deliveries", methods=["GET"])
@blueprint.arguments(OrderDeliveriesQuerySchema, location="query")
@blueprint.response(200, _DELIVERIES)
@raises(usecases.UnknownCursorError)
def list_deliveries_of_order(query: dict[str, Any]) -> dict[str, Any]:
    """List the deliveries of one order's events to your endpoints, or for an operator to all, newest first."""
    page: Page = query["page"]
    with _resources().store.use() as database:
        found = resending.list_deliveries_of_order(database, caller(), query["order_id"], page)
    return render_page([render_delivery(endpoint, delivery) for endpoint, delivery in found], page)


@blueprint.route("/deliveries/<delivery_id>/resend", methods=["POST"])
@blueprint.idempotent()
@blueprint.response(202, DeliverySchema)
@raises(resending.EndpointDisabledError)
def resend_delivery(delivery_id: str) -> View:
    """Resend a delivery, whatever its outcome."""

    def act(database: Any, _: str) -> dict[str, Any]:
        return render_delivery(*resending.resend_delivery(database, caller(), _id(delivery_id)))

    with _resources().store.use() as database:
        return http.render(document_replies.once(database, http.request_key(), 202, act))


@blueprint.route("/deliveries/<delivery_id>/dismiss", methods=["POST"])
@blueprint.idempotent()
@blueprint.response(200, DeliverySchema)
@raises(resending.NotDismissableError)
def dismiss_delivery(delivery_id: str) -> View:
    """Dismiss a failed delivery."""
    policy = _resources().rules.policy

    def act(database: Any, _: str) -> dict[str, Any]:
        return render_delivery(*resending.dismiss_delivery(database, policy, caller(), _id(delivery_id)))

    with _resources().store.use() as database:
        return http.render(document_replies.once(database, http.request_key(), 200, act))


def _resources() -> Resources:
    resources: Resources = context()
    return resources


def _id(given: str) -> str:
    if not is_id(given):
        raise NotFound("no such webhook endpoint or delivery")
    return given
