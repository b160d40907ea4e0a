"""holdfast chaos: the command of `chaos_tests`, whose packages `make demo` does not install.

The only import of `chaos_tests` here (`.importlinter`). `holdfast.cli` loads this file when the command is called.
"""

from chaos_tests.command import chaos

__all__ = ["chaos"]
