"""The operations console: pages for the people who run the system, rendered here, at `/` of the gateway.

Guarantee: a page needs a session of an operator and acts with that operator's token only; it reads the other contexts
over their HTTP APIs, with a time-out for each call, and shows which of them do not answer; every form carries the
session's CSRF token, and pages load only the console's own scripts and styles. Not included: the API of the services.
`/api/v1` ignores the session, and the console has no route below it.
"""
