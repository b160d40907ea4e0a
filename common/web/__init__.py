"""The HTTP side of a service: a Flask app with every promise of the API in one place.

Guarantee: an app from `app_factory` answers every request, malformed or not, with a reply of the documented shape:
errors are problem documents (RFC 9457), bodies, waits and queues are bounded, a repeated Idempotency-Key gets the first
reply.
Not promised: who a caller is (`common.security`), what a use case commits (`common.storage`, `common.messaging`).
"""
