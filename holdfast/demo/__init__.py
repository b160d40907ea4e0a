"""The demonstration: a shop, its customers, a worker that dies on the way, and the audit at the end."""
