"""`python chaos_tests/experiments/run_latency_injection.py --target-service orders`: make one service slow, and see.

As such suites are usually called; takes the options of `holdfast chaos run`, and answers with its exit codes.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # called by its path, it finds the rest of the repository

from chaos_tests.command import run

if __name__ == "__main__":
    run(["latency-injection", *sys.argv[1:]], prog_name="run_latency_injection.py")
