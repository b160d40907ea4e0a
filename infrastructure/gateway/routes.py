"""The paths of each service. The gateway forwards nothing else.

A path includes all paths below it. `*` matches one segment; a line with one has precedence.
"""

ROUTES: tuple[tuple[str, str], ...] = (
    ("/api/v1/orders/*/timeline", "archive"),
    ("/api/v1/orders/*/events", "live"),
    ("/api/v1/orders/events", "live"),
    ("/api/v1/users", "users"),
    ("/api/v1/tokens", "users"),
    ("/api/v1/api-keys", "users"),
    ("/.well-known/jwks.json", "users"),
    ("/api/v1/products", "inventory"),
    ("/api/v1/orders", "orders"),
    ("/api/v1/payments", "payments"),
    ("/api/v1/events", "archive"),
    ("/api/v1/dead-letters", "operations"),
    ("/api/v1/system", "operations"),
    ("/api/v1/webhook-endpoints", "notifications"),
    ("/api/v1/deliveries", "notifications"),
)

# The service of the console, at `/` and below `/console/`.
CONSOLE = "operations"

# Requests that are retried if the service dies while handling them: they are idempotent.
REPEATABLE = frozenset({"/api/v1/orders"})

# Services with streaming responses: forwarded unbuffered, limited only by the service itself.
STREAMING = frozenset({"live"})

SERVICES: dict[str, str] = {
    "users": "Accounts, tokens and API keys",
    "inventory": "Products and their stock",
    "orders": "Placing, reading and cancelling orders",
    "payments": "Charges and refunds",
    "archive": "The timeline of each order, and every event",
    "operations": "Dead letters, and the state of the system",
    "notifications": "Webhooks: endpoints and deliveries",
    "live": "Order events as Server-Sent Events",
}
