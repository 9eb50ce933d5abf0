# Shims import this module, and pathlib would cost each of them several milliseconds.
# ruff: noqa: PTH103, PTH108, PTH110, PTH114, PTH118, PTH120, PTH211
"""Supervises one launch: prepares, starts, watches, stops and records it, and outlives the control plane.

One process per launch, standard library only, one thread, one `poll`. It takes the launch's lock, says who
it is, and only then starts the program; so a handle runs at most once, whatever is killed when. It tells the
control plane everything by files (`records`); a request to stop comes as a file and a signal. It takes the
time from the kernel itself, because the product's clock lives in a process that may be gone.
"""

import fcntl
import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from galerne.drivers.local import records
from galerne.drivers.local.cgroups import open_group
from galerne.drivers.local.energy import EnergyMeter
from galerne.drivers.local.image_wait import ImageFailedError, ImageWait
from galerne.drivers.local.program import Ended, Program, StartError, explain_start
from galerne.drivers.local.records import ExitRecord, LaunchRecord
from galerne.drivers.local.segments import LogWriter
from galerne.drivers.local.usage import UsageMeter, empty_usage
from galerne.drivers.local.workspace_size import WorkspaceSize

TICK_SECONDS = 1.0
FIRST_TICK_SECONDS = 0.1
PREPARING_SECONDS = 0.25
RETRY_SECONDS = 0.05
DRAIN_SECONDS_MAX = 2.0
READ_BYTES = 65_536
READS_PER_WAKE = 32


class Reason(NamedTuple):
    """Why a launch ends before its program does."""

    cause: str
    message: str


class AbandonedError(Exception):
    """The program will not be started; the reason is in the first argument."""


class Shim:
    """The supervisor of one launch."""

    def __init__(self, directory: str, wake: int) -> None:
        self._directory = directory
        self._wake = wake
        self._spec: LaunchRecord = records.read(directory, records.LAUNCH)
        self._group = open_group(self._spec["cgroup"])
        self._log = LogWriter(
            os.path.join(directory, records.LOG), bytes_max=self._spec["log_bytes_max"]
        )
        self._program = Program(self._spec, self._group)
        self._workspace = WorkspaceSize(self._spec["workspace"])
        self._locks: list[int] = []
        self._reason: Reason | None = None
        self._kill_at = float("inf")
        self._terminated = False
        self._preparing = ""
        self.interrupted = False

    def run(self) -> None:
        """Do it all, once. Returns when the end is recorded."""
        started_at = None
        usage = empty_usage()
        ended = Ended(None, None)
        try:
            identity = records.identify(os.getpid(), started_at=time.time())
            self._record(records.SHIM, identity)
            self._prepare()
            started_at = time.time()
            meter = self._start(started_at)
            ended = self._watch(meter)
            self._drain()
            usage = meter.finish(
                time.monotonic(),
                cpu_nanoseconds=self._program.waited_cpu_nanoseconds,
                peak_bytes=self._program.waited_peak_bytes,
            )
        except AbandonedError as abandoned:
            self._reason = abandoned.args[0]
        self._log.close()
        reason = judge(
            self._reason,
            ended,
            not_started=explain_start(self._spec["command"][0], self._tail()),
            oom_kills=self._group.oom_kills(),
            disk_full=started_at is not None and self._is_disk_full(ended),
        )
        if reason.cause == "launch_failed":
            ended = Ended(None, None)
        self._finish(
            ExitRecord(
                cause=reason.cause,
                exit_code=ended.exit_code,
                signal=ended.signal,
                message=reason.message[: records.MESSAGE_CHARACTERS_MAX],
                started_at=started_at,
                ended_at=time.time(),
                usage=usage,
            )
        )

    def _prepare(self) -> None:
        """Wait for what the program needs. Raises `AbandonedError`."""
        self._check_stop()
        if self._spec["image"] is not None:
            image = ImageWait(self._spec["image"], python_path=self._spec["python_path"])
            try:
                while (detail := image.poll()) is not None:
                    self._wait_preparing(detail)
            except ImageFailedError as error:
                message = f"image {self._spec['image']['name']} could not be built: {error}"
                raise AbandonedError(Reason("launch_failed", message)) from error
        while len(self._locks) < self._spec["accelerators"]:
            self._lock_accelerators()
        self._check_stop()
        if self._reason is not None:
            raise AbandonedError(self._reason)

    def _wait_preparing(self, detail: str) -> None:
        if detail != self._preparing:
            self._preparing = detail
            self._try_record(records.PREPARING, {"detail": detail})
        poller = select.poll()
        poller.register(self._wake, select.POLLIN)
        poller.poll(PREPARING_SECONDS * 1000)
        self._check_stop()
        if self._reason is not None:
            raise AbandonedError(self._reason)

    def _lock_accelerators(self) -> None:
        """Take free accelerators by their locks, all or none; wait where there are too few."""
        taken = []
        for candidate in self._spec["accelerator_candidates"]:
            path = os.path.join(self._spec["accelerator_locks"], f"{candidate['uuid']}.lock")
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                continue
            self._locks.append(lock)
            taken.append(candidate)
            if len(taken) == self._spec["accelerators"]:
                self._spec["accelerator_candidates"] = taken
                uuids = ",".join(one["uuid"] for one in taken)
                self._spec["env"]["CUDA_VISIBLE_DEVICES"] = uuids
                return
        while self._locks:
            os.close(self._locks.pop())
        self._wait_preparing("waiting for a free accelerator")

    def _start(self, started_at: float) -> UsageMeter:
        """Start the program and say so. Raises `AbandonedError`."""
        spec = self._spec
        try:
            place_inputs(spec)
            self._group.create(
                cpu_millis=spec["cpu_millis"],
                memory_bytes=spec["memory_bytes"],
                pids_max=spec["pids_max"] + (2 if spec["bubblewrap"] else 0),
            )
            self._program.start()
        except StartError as error:
            message = f"program {spec['command'][0]!r} could not be started: {error}"
            raise AbandonedError(Reason("launch_failed", message)) from error
        except OSError as error:
            message = f"the node could not prepare the launch: {error}"
            raise AbandonedError(Reason("interrupted", message)) from error
        self._record(records.RUNNING, records.identify(self._program.pid, started_at=started_at))
        energy = EnergyMeter(counters=self._accelerator_counters())
        return UsageMeter(
            self._group,
            energy,
            pid=self._program.pid,
            accelerators=spec["accelerators"],
            now=time.monotonic(),
        )

    def _accelerator_counters(self) -> list[Callable[[], int]]:
        if not self._spec["accelerators"]:
            return []
        from galerne.drivers.local import nvml  # noqa: PLC0415 - loads ctypes; most shims need none

        return nvml.energy_counters([one["number"] for one in self._spec["accelerator_candidates"]])

    def _watch(self, meter: UsageMeter) -> Ended:
        """Follow the program to its end."""
        poller = select.poll()
        pidfd = os.pidfd_open(self._program.pid)
        for descriptor in (pidfd, self._program.output, self._wake):
            poller.register(descriptor, select.POLLIN)
        began = time.monotonic()
        tick_at = began + FIRST_TICK_SECONDS
        limit_seconds = self._spec["time_limit_seconds"]
        limit_at = float("inf") if limit_seconds is None else began + limit_seconds
        while True:
            now = time.monotonic()
            if now >= tick_at:
                self._try_record(records.USAGE, meter.sample(now))
                self._check_disk()
                self._check_stop()
                tick_at = time.monotonic() + TICK_SECONDS
            if now >= limit_at:
                limit_at = float("inf")
                message = f"the time limit of {limit_seconds} s was reached"
                self._end(Reason("time_limit", message), self._spec["grace_seconds"])
            self._push_end(now)
            retry_at = now + RETRY_SECONDS if self._is_term_due() else float("inf")
            wait_seconds = max(0.0, min(tick_at, limit_at, self._kill_at, retry_at) - now)
            ready = {fd for fd, _ in poller.poll(wait_seconds * 1000)}
            if self._program.output in ready and not self._pump():
                poller.unregister(self._program.output)
            if self._wake in ready:
                self._check_stop()
            if pidfd in ready and (ended := self._program.wait()) is not None:
                os.close(pidfd)
                return ended

    def _is_term_due(self) -> bool:
        return self._reason is not None and not self._terminated

    def _push_end(self, now: float) -> None:
        """Send what is due of an end that was asked for."""
        if self._is_term_due():
            self._terminated = self._program.terminate()
        if now >= self._kill_at:
            self._kill_at = float("inf")
            self._program.kill()

    def _end(self, reason: Reason, grace_seconds: float) -> None:
        """Begin the end; a second reason can only shorten the grace."""
        if self._reason is None:
            self._reason = reason
        self._kill_at = min(self._kill_at, time.monotonic() + grace_seconds)

    def _check_stop(self) -> None:
        """Look whether somebody wants an end: the driver by a file, the system by SIGTERM."""
        drain_wake(self._wake)
        if self.interrupted:
            message = "the launch's supervisor was told to end, as when the node shuts down"
            self._end(Reason("interrupted", message), self._spec["grace_seconds"])
            self.interrupted = False
        request = records.read(self._directory, records.STOP)
        if request is not None:  # Seen before or not: the same request later changes nothing.
            self._end(Reason("stopped", "it was stopped on request"), request["grace_seconds"])

    def _check_disk(self) -> None:
        if self._workspace.step() > self._spec["disk_bytes"] and self._reason is None:
            self._end(self._disk_reason(), self._spec["grace_seconds"])

    def _disk_reason(self) -> Reason:
        limit_bytes = self._spec["disk_bytes"]
        message = f"the workspace reached its limit of {limit_bytes} bytes"
        return Reason("disk_limit", message)

    def _is_disk_full(self, ended: Ended) -> bool:
        """Say whether a failure is the disk limit's: a file or the whole workspace has reached it."""
        if ended.exit_code == 0:
            return False
        full = self._workspace.measure() >= self._spec["disk_bytes"]
        return full or ended.signal == signal.SIGXFSZ

    def _pump(self) -> bool:
        """Take output into the log; False at its end. Bounded, so that a flood stops nothing else."""
        for _ in range(READS_PER_WAKE):
            try:
                data = os.read(self._program.output, READ_BYTES)
            except BlockingIOError:
                return True
            if not data:
                return False
            self._log.write(data)
        return True

    def _drain(self) -> None:
        """End what the program left behind, and take in its last words."""
        self._program.kill()
        poller = select.poll()
        poller.register(self._program.output, select.POLLIN)
        until = time.monotonic() + DRAIN_SECONDS_MAX
        while time.monotonic() < until and poller.poll(DRAIN_SECONDS_MAX * 1000):
            if not self._pump():
                return

    def _tail(self) -> str:
        return self._log.tail.decode(errors="replace")

    def _record(self, name: str, record: object) -> None:
        """Write a record without which the launch must not go on."""
        try:
            records.write_reserved(self._directory, name, record)
        except OSError as error:
            self._program.kill()
            message = f"the node's state directory cannot be written: {error.strerror}"
            raise AbandonedError(Reason("interrupted", message)) from error

    def _try_record(self, name: str, record: object) -> None:
        """Write a record that the next tick will write again."""
        try:
            records.write(self._directory, name, record, durable=False)
        except OSError:
            return

    def _finish(self, record: ExitRecord) -> None:
        """Record the end, however long the disk takes to accept it, and clean up."""
        poller = select.poll()
        while True:
            try:
                records.write_reserved(self._directory, records.EXIT, record)
                break
            except OSError:
                poller.poll(TICK_SECONDS * 1000)
        self._group.remove()


def judge(
    reason: Reason | None,
    ended: Ended,
    *,
    not_started: str | None,
    oom_kills: int,
    disk_full: bool,
) -> Reason:
    """Choose the one cause of an end. Pure."""
    if reason is not None:
        return reason
    if oom_kills and ended.exit_code != 0:
        return Reason("out_of_memory", "the kernel killed it at its memory limit")
    if ended.exit_code is None or (ended.exit_code in {126, 127} and not_started is not None):
        return Reason("launch_failed", not_started or "the sandbox ended without a word")
    if ended.exit_code == 0:
        return Reason("completed", "")
    if disk_full:
        return Reason("disk_limit", "the workspace or a file in it reached the disk limit")
    how = f"exit code {ended.exit_code}" if ended.signal is None else _signal_name(ended.signal)
    return Reason("failed", f"it ended with {how}")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def place_inputs(spec: LaunchRecord) -> None:
    """Make room for the inputs in the workspace, which an earlier attempt may have filled with anything.

    Bubblewrap mounts over what stands there; without it a symbolic link leads to the source.
    """
    root = os.path.realpath(spec["workspace"])
    for source, target in spec["inputs"]:
        path = os.path.join(root, target)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if os.path.commonpath([root, os.path.realpath(os.path.dirname(path))]) != root:
            raise StartError(f"input {target!r} would lie outside the workspace")
        if os.path.islink(path):
            os.unlink(path)
        if not spec["bubblewrap"] and not os.path.exists(path):
            os.symlink(source, path)


def drain_wake(wake: int) -> None:
    """Empty the pipe through which signals wake the loop."""
    try:
        while os.read(wake, 512):
            pass
    except BlockingIOError:
        return


def main(arguments: Sequence[str]) -> None:  # pragma: no cover - a process of its own
    """Supervise the launch of a directory, unless somebody does or did."""
    directory = arguments[0]
    os.closerange(3, 65_536)
    os.chdir("/")
    lock = os.open(os.path.join(directory, records.LOCK), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    if any(os.path.exists(os.path.join(directory, n)) for n in (records.SHIM, records.EXIT)):
        return
    wake, wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(wake_write)
    shim = Shim(directory, wake)

    def interrupt(_number: int, _frame: object) -> None:
        shim.interrupted = True

    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGUSR1, lambda _number, _frame: None)
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o077)
    shim.run()
