"""Stripe's error shapes: one exception class, one constructor per family.

Raising `ApiError` rolls back the request's writes. A refusal that must keep them (a declined card) is returned as a
response instead; see `intents.py`.
"""

from typing import Any

from infrastructure.sandbox.exchange import Reply, json_reply


class ApiError(Exception):
    """An error response in Stripe's format `{"error": {"type": ..., "code": ..., "message": ...}}`."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
        document = {"code": code, "doc_url": doc_url(code), "message": message, "param": param, "type": kind, **more}
        self.document = {name: value for name, value in document.items() if value is not None}

    def reply(self) -> Reply:
        return json_reply(self.status, {"error": self.document}).with_headers(**self.headers)


def doc_url(code: str | None) -> str | None:
    """Where Stripe explains `code`."""
    return None if code is None else f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"


def missing(what: str, ident: str, *, param: str, status: int = 404) -> ApiError:
    """No object of that id. Stripe answers 404 for the object of the address, 400 for one named in a parameter."""
    return ApiError(f"No such {what}: '{ident}'", status=status, code="resource_missing", param=param)


def unauthorized(message: str) -> ApiError:
    return ApiError(message, status=401, headers={"WWW-Authenticate": 'Basic realm="Stripe"'})


def unrecognized(method: str, path: str) -> ApiError:
    return ApiError(
        f"Unrecognized request URL ({method}: {path}). This sandbox serves PaymentIntents and Refunds only.",
        status=404,
    )


def server_error(status: int = 500) -> ApiError:
    return ApiError("Sorry, something went wrong on our end.", status=status, kind="api_error")
