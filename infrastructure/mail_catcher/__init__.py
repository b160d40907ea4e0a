"""A mail server for development: it accepts every mail, delivers none, and lists the last ones.

Guarantee: an accepted mail (250) is listed at `/mails` until 1,000 newer ones have arrived or the process ends. A
production installation does not use it: its `SMTP_URL` names a real mail server.
"""
