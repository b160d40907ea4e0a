"""The home's supervisor: it restarts processes, and accepts commands over a socket in the home.

Guarantee: every program is restarted for ever (run.py paces it); a program that was stopped by a command stays stopped.
If the supervisor itself dies, the next `up` or `down` finds and stops its processes.
"""

import http.client
import os
import shlex
import socket
import subprocess
import sys
import time
import xmlrpc.client
from pathlib import Path
from typing import Any

from infrastructure.local import proctable
from infrastructure.local.errors import StackError, last_lines
from infrastructure.local.home import REPOSITORY, Home, write_private
from infrastructure.local.spec import Spec

_START_SECONDS = 15
_CALL_SECONDS = 60
_NO_SUCH_NAME, _NOT_RUNNING, _ALREADY_STARTED = 10, 70, 60


class Supervisor:
    """Commands to the supervisor of one home."""

    def __init__(self, home: Home) -> None:
        self._home = home

    @property
    def is_running(self) -> bool:
        """Whether the recorded supervisor is alive and answers."""
        if not proctable.alive(proctable.recorded(proctable.supervisor_record(self._home))):
            return False
        try:
            self._call("supervisor.getState")
        except StackError:
            return False
        return True

    def configure(self, specs: list[Spec]) -> None:
        """Write the configuration; a running supervisor loads the changes."""
        write_private(self._home.run / "supervisord.conf", _configuration(self._home, specs))
        if self.is_running:
            added, _, _ = self._call("supervisor.reloadConfig")[0]
            for name in added:
                self._call("supervisor.addProcessGroup", name)

    def launch(self) -> None:
        """Start the supervisor, without programs. It outlives the caller."""
        log = self._home.log("supervisor-output")
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "supervisor.supervisord", "-c", "run/supervisord.conf"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._home.path,
                env={"PATH": os.environ.get("PATH", ""), "HOME": str(self._home.path), "LC_ALL": "C.UTF-8"},
                start_new_session=True,
            )
        proctable.record(proctable.supervisor_record(self._home), process.pid)
        deadline = time.monotonic() + _START_SECONDS
        while not self.is_running:
            if process.poll() is not None or time.monotonic() > deadline:
                raise StackError(f"the supervisor did not start; the end of {log}:\n{last_lines(log)}")
            time.sleep(0.1)
        # It outlives this process, which therefore never waits for it.
        process.returncode = 0

    def processes(self) -> dict[str, dict[str, Any]]:
        """Return the supervisor's state of each program, by name."""
        return {info["name"]: info for info in self._call("supervisor.getAllProcessInfo")}

    def start(self, name: str) -> None:
        """Start the program unless it runs."""
        self._call("supervisor.startProcess", name, False, allowed=(_ALREADY_STARTED,))

    def stop(self, name: str, wait: bool = True) -> None:
        """Stop the program; it stays stopped until it is started."""
        self._call("supervisor.stopProcess", name, wait, allowed=(_NOT_RUNNING, _NO_SUCH_NAME))

    def remove(self, name: str) -> None:
        """Stop the program, and remove it."""
        self.stop(name)
        self._call("supervisor.removeProcessGroup", name)

    def shut_down(self) -> None:
        """Stop the supervisor and all its programs."""
        self._call("supervisor.shutdown")

    def _call(self, method: str, *arguments: Any, allowed: tuple[int, ...] = ()) -> Any:
        transport = _UnixTransport(self._home.socket)
        try:
            with xmlrpc.client.ServerProxy("http://holdfast", transport=transport) as proxy:
                return getattr(proxy, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode in allowed:
                return None
            raise StackError(f"the supervisor refused {method}{arguments}: {fault.faultString}") from fault
        except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
            raise StackError(f"the supervisor of {self._home.path} does not answer: {error}") from error


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = _UnixConnection(self._path)
        self._connection = (host, connection)  # Transport.close uses it
        return connection


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_CALL_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _configuration(home: Home, specs: list[Spec]) -> str:
    # Log paths are relative to the home, where the supervisor runs: it expands percent signs in them twice.
    owner = "user=root\n" if os.geteuid() == 0 else ""
    head = f"""\
[unix_http_server]
file={_escaped(home.socket)}
chmod=0600

[supervisord]
nodaemon=true
silent=true
logfile=log/supervisor.log
logfile_maxbytes=5MB
logfile_backups=1
pidfile=run/supervisord.pid
childlogdir=log
{owner}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""
    return head + "".join(_program(home, spec) for spec in specs)


def _program(home: Home, spec: Spec) -> str:
    command = shlex.join([sys.executable, "-m", "infrastructure.local.run", str(home.run), spec.name])
    return f"""
[program:{spec.name}]
command={_escaped(command)}
directory={_escaped(REPOSITORY)}
autostart=false
autorestart=true
startsecs=1
startretries=1000000000
stopsignal={spec.stop_signal}
stopwaitsecs={spec.stop_seconds}
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile=log/{spec.name}.log
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=2
"""


def _escaped(text: object) -> str:
    return str(text).replace("%", "%%")
