"""The experiment `latency-injection` of `holdfast chaos run`, on the running stack.

Guarantee: it needs one option, works from any directory, and ends with the exit codes of `holdfast chaos run`; the
stack is unchanged afterwards. Not included: its own stack. `holdfast chaos run latency-injection` starts one, and has
more options.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from chaos_tests.command import run
from chaos_tests.runners.experiments import load_all
from holdfast.commands.options import no_stack
from infrastructure.local.home import DEFAULT_HOME
from infrastructure.local.stack import Stack

ROOT = Path(__file__).resolve().parents[1]
EXPERIMENT = load_all()["latency-injection"]


@click.command()
@click.option(
    "--target-service",
    type=click.Choice(EXPERIMENT.targets),
    default=EXPERIMENT.target(),
    show_default=True,
    help="The context whose service and worker are slowed down.",
)
@click.option("--seconds", type=click.FloatRange(0.5, 600), default=8, show_default=True, help="Duration.")
@click.option(
    "--home",
    type=click.Path(file_okay=False, resolve_path=True, path_type=Path),
    default=ROOT / DEFAULT_HOME,
    show_default=True,
    envvar="HOLDFAST_HOME",
    help="The directory of the running stack.",
)
def inject_latency(target_service: str, seconds: float, home: Path) -> None:
    """Add 200 ms of latency between one service, its worker and their servers, in both directions.

    Orders are placed during the fault, and every promise is checked afterwards.

    Exit codes: 0 every promise held and the latency took effect; 1 one did not; 2 usage error; 3 no stack runs there; 4
    unknown; 130 interrupted (the latency is removed).
    """
    sys.argv[0] = os.path.normpath(Path(sys.executable).with_name("holdfast"))  # the command in `no_stack`
    if not Stack(home).is_running:
        no_stack(home)
    os.chdir(ROOT)  # runs are stored there, from any directory
    words = ["latency-injection", "--home", str(home), "--target-service", target_service, "--seconds", str(seconds)]
    sys.argv[1:] = ["chaos", "run", *words]  # the command in the report
    run(words)
