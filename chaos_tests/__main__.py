"""`python -m chaos_tests`: the same as `holdfast chaos`, where the command is not installed."""

from chaos_tests.command import chaos

if __name__ == "__main__":
    chaos(prog_name="holdfast chaos")
