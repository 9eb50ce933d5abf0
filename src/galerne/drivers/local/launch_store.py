# Observing thousands of handles is made of these calls; a Path for each would double its cost.
# ruff: noqa: PTH102, PTH104, PTH110, PTH116, PTH118
"""The directories of launches as the driver sees them: accept, adopt, read, end, drop.

Everything here blocks on files and is called from threads. It knows no launch beyond what its directory
says, and keeps in memory only what can never change: identities and ends. Deciding what to tell the control
plane is for `driver`; what happens between `shim.json` and `exit.json` is for the shim.
"""

import fcntl
import os
import secrets
import shutil
import signal
from pathlib import Path

from galerne.drivers.local import records
from galerne.drivers.local.cgroups import open_group
from galerne.drivers.local.records import (
    ExitRecord,
    Identity,
    LaunchRecord,
    StopRecord,
    UsageRecord,
)
from galerne.drivers.local.usage import empty_usage

NEW_PREFIX = ".new-"
FORGOTTEN_PREFIX = ".forgotten-"
STALE_SECONDS = 3600


class LaunchStore:
    """All launches below one state directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._boot_id = records.boot_id()
        self._shims: dict[str, Identity] = {}
        self._running: dict[str, Identity] = {}
        self._exits: dict[str, tuple[tuple[int, int], ExitRecord]] = {}
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def directory(self, handle: str) -> str:
        return os.path.join(self._directory, handle)

    def exists(self, handle: str) -> bool:
        return os.path.exists(os.path.join(self.directory(handle), records.LAUNCH))

    def accept(self, handle: str, launch: LaunchRecord) -> None:
        """Take a launch durably, in one rename; a launch that is there already stays as it is."""
        new = os.path.join(self._directory, f"{NEW_PREFIX}{secrets.token_hex(8)}")
        try:
            os.mkdir(new, mode=0o700)
            records.reserve(new)
            records.write(new, records.LAUNCH, launch)
            os.rename(new, self.directory(handle))
        except OSError:
            shutil.rmtree(new, ignore_errors=True)
            if not self.exists(handle):
                raise
        records.sync_directory(str(self._directory))

    def shim(self, handle: str) -> Identity | None:
        """Return who supervises or supervised the launch; None where nobody ever did."""
        return self._identity(self._shims, handle, records.SHIM)

    def running(self, handle: str) -> Identity | None:
        """Return the program's identity; None where it was not started yet."""
        return self._identity(self._running, handle, records.RUNNING)

    def is_supervised(self, shim: Identity) -> bool:
        return records.is_alive(shim, boot=self._boot_id)

    def is_of_this_boot(self, shim: Identity) -> bool:
        return shim["boot_id"] == self._boot_id

    def preparing(self, handle: str) -> str:
        record = records.read(self.directory(handle), records.PREPARING)
        return record["detail"] if record else ""

    def usage(self, handle: str) -> UsageRecord:
        usage: UsageRecord | None = records.read(self.directory(handle), records.USAGE)
        return usage or empty_usage()

    def exit(self, handle: str) -> ExitRecord | None:
        """Return how it ended; read again only if the file is another one."""
        path = os.path.join(self.directory(handle), records.EXIT)
        try:
            stat = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            self._exits.pop(handle, None)
            return None
        key = (stat.st_ino, stat.st_mtime_ns)
        cached = self._exits.get(handle)
        if cached is not None and cached[0] == key:
            return cached[1]
        record: ExitRecord | None = records.read(self.directory(handle), records.EXIT)
        if record is not None:
            self._exits[handle] = (key, record)
        return record

    def interrupt(self, handle: str, *, cause: str, message: str, now: float) -> ExitRecord | None:
        """Record the end of a launch whose supervisor is gone, after killing what it left.

        Returns None where a supervisor lives after all, or another control plane does the same.
        """
        directory = self.directory(handle)
        lock = os.open(os.path.join(directory, records.LOCK), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if (record := self.exit(handle)) is not None:
                return record
            launch: LaunchRecord | None = records.read(directory, records.LAUNCH)
            group = open_group(launch["cgroup"] if launch else None)
            group.kill()
            group.remove()
            running = self.running(handle)
            record = ExitRecord(
                cause=cause,
                exit_code=None,
                signal=None,
                message=message[: records.MESSAGE_CHARACTERS_MAX],
                started_at=running["started_at"] if running else None,
                ended_at=self._last_seen(handle, now=now),
                usage=self.usage(handle),
            )
            records.write_reserved(directory, records.EXIT, record)
        except BlockingIOError:
            return None
        finally:
            os.close(lock)
        return record

    def _last_seen(self, handle: str, *, now: float) -> float:
        """Return the last sign of life: nobody pays for the time until somebody looked."""
        try:
            return os.stat(os.path.join(self.directory(handle), records.USAGE)).st_mtime
        except FileNotFoundError:
            identity = self.running(handle) or self.shim(handle)
            return identity["started_at"] if identity else now

    def request_stop(self, handle: str, request: StopRecord) -> None:
        """Leave the request and wake the shim, if it is the very one."""
        records.write_reserved(self.directory(handle), records.STOP, request)
        shim = self.shim(handle)
        if shim is None:
            return
        try:
            pidfd = os.pidfd_open(shim["pid"])  # Held while we look: the pid cannot change hands.
        except ProcessLookupError:
            return
        try:
            if self.is_supervised(shim):
                signal.pidfd_send_signal(pidfd, signal.SIGUSR1)
        except ProcessLookupError:
            return
        finally:
            os.close(pidfd)

    def drop(self, handle: str) -> None:
        """Remove an ended launch's directory; out of sight at once, whatever happens then."""
        gone = os.path.join(self._directory, f"{FORGOTTEN_PREFIX}{secrets.token_hex(8)}")
        for known in (self._shims, self._running, self._exits):
            known.pop(handle, None)
        try:
            os.rename(self.directory(handle), gone)
        except FileNotFoundError:
            return
        shutil.rmtree(gone, ignore_errors=True)

    def sweep(self, *, now: float) -> None:
        """Remove what calls that were cut have left: half-accepted and half-dropped launches."""
        for entry in os.scandir(self._directory):
            if entry.name.startswith((NEW_PREFIX, FORGOTTEN_PREFIX)):
                try:
                    age_seconds = now - entry.stat(follow_symlinks=False).st_mtime
                except FileNotFoundError:  # Its owner lives and was quicker.
                    continue
                if age_seconds > STALE_SECONDS:
                    shutil.rmtree(entry.path, ignore_errors=True)

    def _identity(self, known: dict[str, Identity], handle: str, name: str) -> Identity | None:
        identity = known.get(handle)
        if identity is None:
            identity = records.read(self.directory(handle), name)
            if identity is not None:
                known[handle] = identity
        return identity
