"""Authentication and authorization.

Guarantee: a route needs a valid access token unless it is marked public; tokens are verified offline, against the keys
that the users service publishes (RFC 7517), and a revoked key is no longer trusted.
Not promised: revocation of a single token before it expires.
"""
