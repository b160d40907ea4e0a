"""The report: one page per run that needs nothing but a browser, and the same figures as JSON."""
