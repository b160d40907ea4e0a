"""PostgreSQL and MongoDB, with every wait bounded.

Guarantee: a statement, a connection attempt or a wait for a pooled connection ends within its bound, also against a
frozen server; MongoDB writes are on a majority's journal; a lease has one holder at a time by the database's clock. Not
promised: that a lease is a fence. Its holder may act once more after the lease has expired.
"""
