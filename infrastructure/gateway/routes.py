"""Which service answers which path. The gateway forwards nothing else.

A path covers what lies below it. `*` stands for one segment; a line with one is looked at first.
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

# Who serves the console, at `/` and below `/console/`.
CONSOLE = "operations"

# What is sent again if the service was killed over it: repetitions have no second effect.
REPEATABLE = frozenset({"/api/v1/orders"})

# Whose replies are streams: passed on byte by byte, and as many at once as the service itself allows.
STREAMING = frozenset({"live"})

SERVICES: dict[str, str] = {
    "users": "Accounts, tokens and API keys",
    "inventory": "Products and their stock",
    "orders": "Placing, reading and cancelling orders",
    "payments": "Charges and refunds",
    "archive": "The timeline of each order, and every event",
    "operations": "Dead letters, and how the system is",
    "notifications": "Webhooks: endpoints and deliveries",
    "live": "The events of orders as they happen, as Server-Sent Events",
}
