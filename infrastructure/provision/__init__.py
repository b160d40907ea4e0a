"""Making the accounts on running servers, from `infrastructure.privileges`; for the native stack and for compose.

Each module brings one server up to date, given an administrator's access; it may run again at any time, and on the
data of an older version.
"""
