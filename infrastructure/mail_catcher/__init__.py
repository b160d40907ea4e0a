"""A mail server for trials: it takes every mail, sends none on, and shows the last ones.

Guarantee: what is answered with 250 is shown at `/mails` until 1,000 newer mails have come or the process ends.
It takes no part in a real installation, whose `SMTP_URL` names a real mail server.
"""
