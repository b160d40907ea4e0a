"""Completion in a real bash: the script that `holdfast completion bash` prints, and the completions that it offers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from holdfast.cli import main

# Like bash when Tab is pressed: the words so far, and the index of the current one.
_TAB = """
eval "$(holdfast completion bash)"
COMP_WORDS=({words}); COMP_CWORD={last}
$(complete -p holdfast | sed 's/.*-F \\([^ ]*\\).*/\\1/') holdfast
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def _offered(*words: str) -> set[str]:
    quoted = " ".join(f"'{word}'" for word in ("holdfast", *words))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", _TAB.format(words=quoted, last=len(words))],
        capture_output=True, text=True, timeout=120, check=True, env={"PATH": path},
    )  # fmt: skip
    return set(done.stdout.split())


def test_bash_completes_commands_subcommands_options_and_choices() -> None:
    assert _offered("dead") == {"dead-letters"}
    assert _offered("dead-letters", "re") == {"replay"}
    assert _offered("token", "--r") == {"--role"}
    assert _offered("dead-letters", "list", "--status", "re") == {"replaying", "replayed"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_printed_for_each_shell(shell: str) -> None:
    done = CliRunner().invoke(main, ["completion", shell])
    assert (done.exit_code, "_HOLDFAST_COMPLETE" in done.output) == (0, True)


def test_an_unsupported_shell_is_a_usage_error() -> None:
    assert CliRunner().invoke(main, ["completion", "tcsh"]).exit_code == 2
