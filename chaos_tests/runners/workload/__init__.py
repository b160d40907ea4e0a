"""The workload: seeded customers that order, change their minds, lose answers and ask again; all of it written down."""
