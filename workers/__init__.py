"""The event side of the contexts: consumers and sweeps, and the processes that serve all contexts."""

# Whose queues the events of a saga pass: while one of them is held up, open orders and payments are not overdue.
SAGA_CONSUMERS = ("inventory", "orders", "payments")
