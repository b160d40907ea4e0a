"""The `holdfast` command. The table lists the subcommands; a module is imported when its command is called."""

from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

from holdfast import __version__
from holdfast.commands.examples import add_examples
from holdfast.commands.options import report_stack_errors

_OWN = ("common", "services", "workers", "infrastructure", "holdfast", "chaos_tests")

# Each subcommand and its module in `holdfast.commands`; a module defines the command under its own name.
_COMMANDS = {
    "up": "stack",
    "down": "stack",
    "restart": "stack",
    "status": "stack",
    "logs": "logs",
    "env": "env",
    "token": "token",
    "demo": "demo",
    "top": "top",
    "audit": "audit",
    "orders": "orders",
    "dead-letters": "dead_letters",
    "payments": "payments",
    "webhooks": "webhooks",
    "bench": "bench",
    "chaos": "chaos",
    "secrets": "secrets",
    "new": "new",
    "completion": "completion",
}


class _Table(click.Group):
    """The subcommands in the order of the table."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in _COMMANDS:
            return None
        try:
            module = import_module(f"holdfast.commands.{_COMMANDS[cmd_name]}")
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] in _OWN:
                raise
            return _unavailable(cmd_name, error)
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        add_examples(command, cmd_name)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a subcommand from the table alone: importing all of them would take a second."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [CompletionItem(name) for name in _COMMANDS if name.startswith(incomplete)]

    def invoke(self, ctx: click.Context) -> Any:
        with report_stack_errors():
            return super().invoke(ctx)


def _unavailable(name: str, error: ModuleNotFoundError) -> click.Command:
    """Return a command that reports the missing package: `make demo` installs no test packages."""

    def explain() -> None:
        raise click.ClickException(
            f"`holdfast {name}` needs packages that are not installed ({error.name}). Run: make setup"
        )

    settings = {"ignore_unknown_options": True, "allow_extra_args": True}
    return click.Command(
        name,
        callback=explain,
        help="Not installed yet: run `make setup`.",
        context_settings=settings,
        add_help_option=False,
    )


@click.group(cls=_Table, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="holdfast")
def main() -> None:
    """Run Holdfast on this machine, inspect it, and check its promises.

    A stack is a directory (--home) and a range of ports (--port-base); several run side by side.
    Exit codes: 0 success, 1 failure (the text says what), 2 usage error, 3 no stack runs there, 4 the system does not
    answer, so the result is unknown.
    """
