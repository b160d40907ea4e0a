"""What every process shares. Importing it imports structlog without rich.

structlog imports rich, where there is one, to print tracebacks in colour. Processes log JSON, and start a tenth sooner
without.
"""

import sys

if "rich" not in sys.modules:
    sys.modules["rich"] = None  # type: ignore[assignment]  # the import fails
    import structlog as structlog

    del sys.modules["rich"]
