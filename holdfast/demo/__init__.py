"""The demonstration: a shop, its customers, a killed worker, and the audit at the end."""
