"""`python -m infrastructure.local.graceful COMMAND...`: runs a program that stops gracefully on SIGQUIT, not SIGTERM.
nginx finishes requests on SIGQUIT and drops them on SIGTERM.

Guarantee: SIGTERM, SIGINT and SIGQUIT to this process all stop the program gracefully; the exit code is the program's;
if this process is killed, so is the program.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> int:
    """Run the program until it ends."""
    signals = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals | {signal.SIGCHLD})
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        _become(sys.argv[1:], parent)
    while True:
        number = signal.sigwait(signals | {signal.SIGCHLD})
        if number != signal.SIGCHLD:
            os.kill(child, signal.SIGQUIT)
            continue
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _become(words: list[str], parent: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # it was already killed
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.execv(words[0], words)


if __name__ == "__main__":
    sys.exit(main())
