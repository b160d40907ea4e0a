"""The gateway's own errors, for requests that do not reach a service."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of error. nginx raises `raised`; the client gets `status` (RFC 9457)."""

    raised: tuple[int, ...]
    status: int
    title: str
    code: str
    detail: str
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def slug(self) -> str:
        return self.code.replace("_", "-")


# 501 and 505 are nginx's responses to an unknown transfer encoding and HTTP version: here they count as
# client errors.
PROBLEMS = (
    Problem((400, 501, 505), 400, "Bad Request", "malformed_request", "the request is not well-formed HTTP"),
    Problem((403,), 403, "Forbidden", "forbidden", "this address is not for the outside"),
    Problem((404,), 404, "Not Found", "not_found", "there is nothing at this address"),
    Problem(
        (405,),
        405,
        "Method Not Allowed",
        "method_not_allowed",
        "Method not allowed.",
        headers=(("Allow", "$holdfast_allow"),),
    ),
    Problem((408,), 408, "Request Timeout", "request_timeout", "the request did not arrive in time"),
    Problem((412,), 412, "Precondition Failed", "precondition_failed", "the page is another one by now"),
    Problem((413,), 413, "Content Too Large", "body_too_large", "the body is larger than the gateway accepts"),
    Problem((414,), 414, "URI Too Long", "uri_too_long", "the address is longer than the gateway accepts"),
    Problem((416,), 416, "Range Not Satisfiable", "range_not_satisfiable", "the page is shorter than that"),
    Problem((494,), 431, "Request Header Fields Too Large", "header_too_large", "a header is too long"),
    Problem(
        (429,),
        429,
        "Too Many Requests",
        "rate_limited",
        "too many requests or connections from your address",
        headers=(("Retry-After", "1"),),
    ),
    Problem((500,), 500, "Internal Server Error", "internal_error", "this is a fault of the gateway"),
    Problem(
        (502, 503, 504),
        503,
        "Service Unavailable",
        "service_unavailable",
        "temporarily unavailable: try again soon",
        headers=(("Retry-After", "1"),),
    ),
)
