"""Creates the accounts on running servers, from `infrastructure.privileges`; for the native stack and for compose.

Each module updates one server with an administrator's credentials; it is idempotent, and works on the data of an older
version.
"""
