"""The workload: seeded customers that order, cancel, lose responses and retry; all operations are recorded."""
