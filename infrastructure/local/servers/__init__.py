"""PostgreSQL, RabbitMQ and MongoDB: preparation, start, readiness and accounts of each server.

Each module has the same three functions: `specs` (prepares the data directory and returns the commands), `ready`
(returns or raises) and `provision` (databases and accounts; idempotent).
"""
