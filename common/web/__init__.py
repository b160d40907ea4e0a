"""The HTTP side of a service: a Flask app that implements every promise of the API.

Guarantee: an app from `app_factory` answers every request, even a malformed one, with a documented response: errors are
problem documents (RFC 9457); bodies, waits and queues are bounded; a repeated Idempotency-Key returns the first
response. Not covered: authentication (`common.security`), transactions and events (`common.storage`,
`common.messaging`).
"""
