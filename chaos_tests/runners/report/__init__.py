"""The report: one self-contained HTML page per run, and the same figures as JSON."""
