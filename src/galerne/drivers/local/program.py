# Shims import this module, and pathlib would cost each of them several milliseconds.
# ruff: noqa: PTH116, PTH123, PTH208
"""Starts a launch's program and says how it ended: fork, limits, sandbox, exit status.

The sandbox's own init reports an end by signal as a shell does, 128 plus the number, so `exit_code` is
spelled that way everywhere. Which limits and when to end it is for `shim` to say. Shims import this module:
keep it small.
"""

import json
import os
import re
import resource
import signal
from typing import NamedTuple

from galerne.drivers.local.cgroups import Group
from galerne.drivers.local.records import LaunchRecord
from galerne.drivers.local.usage import descendants

SIGNAL_BASE = 128
_NOT_STARTED = re.compile(r"^(?:bwrap: execvp|setpriv: failed to execute) (.+): ([^:]+)$")
_DEFAULTED_SIGNALS = (  # What the shim or Python itself ignores or handles.
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGPIPE,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGXFSZ,
)


class StartError(Exception):
    """The program could not be started; the text says why."""


class Ended(NamedTuple):
    """How the program ended; neither field is set where it never started."""

    exit_code: int | None
    signal: int | None


class Program:
    """A program between its start and its end."""

    def __init__(self, spec: LaunchRecord, group: Group) -> None:
        self._spec = spec
        self._group = group
        self._init_pid = 0
        self._status = b""
        self.pid = 0
        self.waited_cpu_nanoseconds = 0
        self.waited_peak_bytes = 0
        self.output, self._output_write = _pipe()
        self._status_read, self._status_write = _pipe()

    def start(self) -> None:
        """Start it, in its control group and under its limits. Raises `StartError`."""
        failed, failed_write = _pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self._become(failed_write)
        for descriptor in (failed_write, self._output_write, self._status_write):
            os.close(descriptor)
        reason = os.read(failed, 1000)  # Empty once exec has closed the other end.
        os.close(failed)
        os.set_blocking(self.output, False)
        os.set_blocking(self._status_read, False)
        if reason:
            os.waitpid(self.pid, 0)
            raise StartError(reason.decode(errors="replace"))

    def terminate(self) -> bool:
        """Send SIGTERM to every process of the program; False where there is none yet."""
        self._read_status()
        if self._spec["bubblewrap"] and not self._init_pid:
            return False
        pids = self._group.pids() or [self.pid, *descendants(self.pid)]
        own = {self.pid, self._init_pid} if self._spec["bubblewrap"] else set()
        targets = [pid for pid in pids if pid not in own]
        for pid in targets:
            _send(pid, signal.SIGTERM)
        return bool(targets)

    def kill(self) -> None:
        """Kill every process of the program."""
        below = [] if self._group.join_files() else descendants(self.pid)
        self._group.kill()
        for pid in [self.pid, *below]:
            _send(pid, signal.SIGKILL)

    def wait(self) -> Ended | None:
        """Return how it ended, None while it runs."""
        pid, status, use = os.wait4(self.pid, os.WNOHANG)
        if pid == 0:
            return None
        self.waited_cpu_nanoseconds = int((use.ru_utime + use.ru_stime) * 1e9)
        self.waited_peak_bytes = use.ru_maxrss * 1024
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            return Ended(SIGNAL_BASE + number, number)
        self._read_status()
        code = os.WEXITSTATUS(status)
        if self._spec["bubblewrap"] and b'"exit-code"' not in self._status:
            return Ended(None, None)
        in_range = SIGNAL_BASE < code < SIGNAL_BASE + signal.NSIG
        return Ended(code, code - SIGNAL_BASE if in_range else None)

    def _become(self, failed: int) -> None:  # pragma: no cover - coverage ends with exec
        """Turn the forked child into the program. Never returns."""
        try:
            os.setsid()
            os.umask(0o022)
            for path in self._group.join_files():
                with open(path, "w", encoding="ascii") as file:
                    file.write("0")
            self._limit()
            self._connect()
            argv = self._argv()
            os.chdir("/" if self._spec["bubblewrap"] else self._spec["workspace"])
            os.execvpe(argv[0], argv, self._spec["env"])  # noqa: S606 - no shell is the point
        except (OSError, ValueError) as error:
            os.write(failed, f"{type(error).__name__}: {error}".encode()[:1000])
        finally:
            os._exit(127)

    def _argv(self) -> list[str]:  # pragma: no cover - coverage ends with exec
        program, *options = self._spec["sandbox"] or [""]
        if not self._spec["bubblewrap"]:
            prefix = [program, *options, "--"] if program else []
            return [*prefix, *self._spec["command"]]
        os.set_inheritable(self._status_write, True)
        options += ["--json-status-fd", str(self._status_write)]
        for accelerator in self._spec["accelerator_candidates"]:
            device = f"/dev/nvidia{accelerator['minor']}"
            options += ["--dev-bind-try", device, device]
        arguments = _memory_file("\0".join(options))
        return [program, "--args", str(arguments), "--", *self._spec["command"]]

    def _limit(self) -> None:  # pragma: no cover - coverage ends with exec
        spec = self._spec
        limits = [(resource.RLIMIT_FSIZE, spec["disk_bytes"]), (resource.RLIMIT_CORE, 0)]
        groups = spec["cgroup"]["directories"] if spec["cgroup"] else {}
        if not groups.keys() & {"memory", "unified"}:
            limits.append((resource.RLIMIT_DATA, spec["memory_bytes"]))
        if not groups.keys() & {"pids", "unified"}:
            limits.append((resource.RLIMIT_NPROC, spec["pids_max"] + _own_processes()))
        for kind, wanted in limits:
            hard = resource.getrlimit(kind)[1]
            value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(kind, (value, value))

    def _connect(self) -> None:  # pragma: no cover - coverage ends with exec
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(self._output_write, 1)
        os.dup2(self._output_write, 2)
        signal.set_wakeup_fd(-1)
        for number in _DEFAULTED_SIGNALS:
            signal.signal(number, signal.SIG_DFL)

    def _read_status(self) -> None:
        """Take in what bubblewrap says: the pid of its init, and in the end the exit code."""
        try:
            while data := os.read(self._status_read, 4096):
                self._status += data
        except BlockingIOError:
            pass
        first = self._status.partition(b"\n")[0]
        if not self._init_pid and first.endswith(b"}"):
            self._init_pid = int(json.loads(first)["child-pid"])


def explain_start(argv0: str, tail: str) -> str | None:
    """Find in the end of the output why the sandbox could not start the program; None if it did."""
    for line in reversed(tail.splitlines()):
        match = _NOT_STARTED.match(line)
        if match is not None and match[2] == "No such file or directory":
            return f"program {argv0!r} was not found in the launch's environment"
        if match is not None:
            return f"program {argv0!r} cannot be run: {match[2]}"
        if line.startswith("bwrap: "):
            return f"the sandbox could not be set up: {line.removeprefix('bwrap: ')}"
    return None


def _own_processes() -> int:  # pragma: no cover - coverage ends with exec
    """Count the processes of our user, all of which the kernel holds against its limit."""
    user = os.geteuid()
    count = 0
    for name in os.listdir("/proc"):
        try:
            count += name.isdigit() and os.stat(f"/proc/{name}").st_uid == user
        except FileNotFoundError:
            continue
    return count


def _memory_file(text: str) -> int:  # pragma: no cover - coverage ends with exec
    """Return an inherited descriptor with a text: arguments that no process list shows."""
    descriptor = os.memfd_create("arguments", 0)
    os.write(descriptor, os.fsencode(text))
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _pipe() -> tuple[int, int]:
    return os.pipe2(os.O_CLOEXEC)


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
