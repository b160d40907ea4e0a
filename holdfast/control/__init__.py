"""The control process of a local stack: faults on request, and audits, for the console's pages.

Guarantee: it accepts only an operator's token, verified here with the published keys; it listens only on the loopback
address and rejects requests from browsers. The list of faults is fixed, one is active at a time, and each ends after
its duration, also if this process dies. Each act is logged with operator and time. Not supported: anything outside a
local stack. See docs/decisions/0025.
"""
