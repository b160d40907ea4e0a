"""The operations console: pages for the people who run the system, rendered here, at `/` of the gateway.

Guarantee: a page needs a session of an operator and acts with that operator's token only; it reads the other contexts
over their HTTP API, each call bounded, and shows what does not answer; every form carries the session's CSRF token,
and no page runs a script or a style that is not one of the console's own files.
Not promised: the API of the services. `/api/v1` ignores the session, and the console has no route below it.
"""
