"""One-shot jobs: schema, topology, seed. Each exits with 0, or `up` reports the error.

A killed job is run again, at most twice: jobs are idempotent and finish interrupted work.
"""

import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from infrastructure.local.errors import NotReadyError
from infrastructure.local.home import Home
from infrastructure.local.progress import Progress, Step
from infrastructure.local.spec import Spec

_JOB_SECONDS = 120
_MORE_TRIES = 2


def run_jobs(home: Home, specs: list[Spec], progress: Progress) -> None:
    """Run the jobs concurrently; raises the first failure after all have ended."""
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        results = [pool.submit(_run, home, spec, progress) for spec in specs]
    for result in results:
        result.result()


def _run(home: Home, spec: Spec, progress: Progress) -> None:
    progress(Step(spec.name, "starting"))
    log = home.log(spec.name)
    log.write_bytes(b"")
    code = _ended(spec, log)
    for _ in range(_MORE_TRIES):
        if code is None or code >= 0:
            break
        progress(Step(spec.name, "starting", "again, because it was killed"))
        code = _ended(spec, log)
    if code != 0:
        progress(Step(spec.name, "failed"))
        reason = f"exit code {code}" if code is not None else f"not done within {_JOB_SECONDS} s"
        raise NotReadyError(spec.name, reason, log)
    progress(Step(spec.name, "ready"))


def _ended(spec: Spec, log: Path) -> int | None:
    """The exit code of one run, negative if a signal ended it; None if it did not end in time."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            spec.words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=spec.directory,
            env=spec.environment,
            start_new_session=True,
        )
        try:
            return process.wait(timeout=_JOB_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return None
