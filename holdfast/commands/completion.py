"""holdfast completion: shell completion of commands and options."""

import click
from click.shell_completion import get_completion_class

PROGRAM = "holdfast"
_VARIABLE = "_HOLDFAST_COMPLETE"
# \b: click does not wrap the lines that follow.
_HELP = """Print the completion script, which the shell evaluates when it starts.

\b
bash: eval "$(holdfast completion bash)"      in ~/.bashrc (bash 4.4 or later)
zsh:  eval "$(holdfast completion zsh)"       in ~/.zshrc
fish: holdfast completion fish | source       in ~/.config/fish/config.fish
"""


@click.command(help=_HELP)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell."""
    kind = get_completion_class(shell)
    if kind is None:
        message = f"click cannot complete in {shell}"
        raise click.ClickException(message)
    click.echo(kind(context.find_root().command, {}, PROGRAM, _VARIABLE).source())
