"""The event side of the contexts: consumers and sweeps, and the processes that serve all contexts."""

# The consumers of saga events: while one of their queues is held up, open orders and payments are not overdue.
SAGA_CONSUMERS = ("inventory", "orders", "payments")
