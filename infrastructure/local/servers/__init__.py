"""PostgreSQL, RabbitMQ and MongoDB: per server, how it is prepared, run, found ready, and filled with accounts.

Each module has the same three functions: `specs` (prepares the data directory and says what to run),
`ready` (answers, or raises) and `provision` (databases and accounts; may run again at any time).
"""
