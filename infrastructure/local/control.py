"""The control process of a native stack: faults and audits on request, for the console's pages.

It is not in the process table, because only native stacks have it: it injects faults. Here it is an ordinary process:
started and stopped with the others, in `holdfast status`, and restarted when it dies.
"""

from infrastructure.processes import Phase, Process

CONTROL = Process(
    name="control",
    phase=Phase.GATEWAY,
    command=("python", "-m", "holdfast.control.main"),
    environment=("SERVICE_PORT", "JWKS_URL", "STACK_HOME", "STRIPE_API_KEY", "STRIPE_API_BASE", "LOG_LEVEL"),
    port_offset=21,
    probe="/livez",
)
# Variables that only this kind of installation sets for a process of the table.
NATIVE_VARIABLES: dict[str, tuple[str, ...]] = {"service-operations": ("LOCAL_CONTROL_URL",)}
