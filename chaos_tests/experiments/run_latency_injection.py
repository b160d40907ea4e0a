"""`cd chaos_tests/experiments && python run_latency_injection.py --target-service orders`

It finds the repository from any directory, and says what to do if the libraries are missing. The command itself is
chaos_tests/latency_injection.py.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXIT_USAGE = 2

if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    try:
        from chaos_tests.latency_injection import inject_latency
    except ModuleNotFoundError as error:
        print(
            f"{error}. Run `make setup` in {ROOT}, then `. {ROOT}/.venv/bin/activate` in this shell.", file=sys.stderr
        )
        sys.exit(EXIT_USAGE)
    inject_latency()
