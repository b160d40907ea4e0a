"""The control process of a local stack: faults on request, and audits, for the console's pages.

Guarantee: only an operator's token opens it, verified here with the published keys; it listens on the loopback address
alone and refuses whatever a browser sends. There is a fixed list of faults, one is on at a time, and each ends by
itself, also if this process dies meanwhile. Each act is logged with who asked for it and when.
Not promised: anything outside a local stack. Elsewhere it does not run. See docs/decisions/0025.
"""
