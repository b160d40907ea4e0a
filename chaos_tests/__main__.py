"""`python -m chaos_tests`: the same as `holdfast chaos`, without the installed command."""

from chaos_tests.command import chaos

if __name__ == "__main__":
    chaos(prog_name="holdfast chaos")
