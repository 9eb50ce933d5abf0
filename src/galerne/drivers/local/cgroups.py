# Shims import this module, and pathlib would cost each of them several milliseconds.
# ruff: noqa: PTH102, PTH106, PTH110, PTH112, PTH118, PTH120, PTH123
"""Control groups: limits, accounting and the certain end of a launch, on version 2, on version 1, or none.

`detect` finds out what this machine lets us use and `plan` names the directories of one launch; `open_group`
gives the object that works on them. A `Group` is rebuilt from its directories alone, so a launch is adopted
after a restart by whoever reads its record. Shims import this module: keep it small.
"""

import errno
import os
import select
import signal

from galerne.drivers.local.records import Cgroup

CPU_PERIOD_US = 100_000
CPU_QUOTA_US_MIN = 1_000
KILL_ROUNDS_MAX = 200
ROUND_MILLISECONDS = 5
MAKE_ATTEMPTS = 10
V1_CONTROLLERS = ("cpu", "cpuacct", "memory", "pids")
V2_CONTROLLERS = ("cpu", "memory", "pids")


class Group:
    """One launch's control group where there is none: no limit, no accounting."""

    def create(self, *, cpu_millis: int, memory_bytes: int, pids_max: int) -> None:
        """Make the group with its limits. Idempotent."""

    def join_files(self) -> list[str]:
        """Return the files into which a process writes `0` to join."""
        return []

    def pids(self) -> list[int]:
        """Return every process in the group."""
        return []

    def cpu_nanoseconds(self) -> int | None:
        """Return the CPU time used, None where the group does not account it."""
        return None

    def memory_bytes(self) -> int | None:
        """Return the memory in use without pages the kernel would drop first."""
        return None

    def memory_peak_bytes(self) -> int | None:
        """Return the largest memory use so far, as the kernel saw it."""
        return None

    def oom_kills(self) -> int:
        """Return how often the kernel killed a process of the group for want of memory."""
        return 0

    def forbid_forks(self) -> None:
        """Let no further process start, so that killing comes to an end."""

    def kill(self) -> None:
        """Kill every process, also those that fork meanwhile. Returns when none is left, within seconds."""
        self.forbid_forks()
        for _ in range(KILL_ROUNDS_MAX):
            pids = self.pids()
            for pid in pids:
                _kill(pid)
            if not pids:
                return
            select.poll().poll(ROUND_MILLISECONDS)

    def remove(self) -> None:
        """Drop the group; waits a little for killed processes to be gone. Idempotent."""
        for directory in self.own_directories():
            for _ in range(KILL_ROUNDS_MAX):
                if _remove(directory):
                    break
                select.poll().poll(ROUND_MILLISECONDS)

    def own_directories(self) -> list[str]:
        """Return the directories that are this launch's alone."""
        return []


class GroupV1(Group):
    """A launch's groups in the hierarchies of version 1, one directory per controller."""

    def __init__(self, directories: dict[str, str]) -> None:
        self._directories = directories

    def create(self, *, cpu_millis: int, memory_bytes: int, pids_max: int) -> None:
        for directory in self._directories.values():
            _make(directory)
        self._set("cpu", "cpu.cfs_period_us", CPU_PERIOD_US)
        self._set("cpu", "cpu.cfs_quota_us", _quota_us(cpu_millis))
        self._set("memory", "memory.limit_in_bytes", memory_bytes)
        self._set("memory", "memory.memsw.limit_in_bytes", memory_bytes, optional=True)
        self._set("pids", "pids.max", pids_max)

    def join_files(self) -> list[str]:
        return [os.path.join(d, "cgroup.procs") for d in self._directories.values()]

    def pids(self) -> list[int]:
        for controller in ("pids", "memory", "cpuacct", "cpu"):
            if controller in self._directories:
                return _pids(self._directories[controller])
        return []

    def cpu_nanoseconds(self) -> int | None:
        return self._number("cpuacct", "cpuacct.usage")

    def memory_bytes(self) -> int | None:
        used = self._number("memory", "memory.usage_in_bytes")
        if used is None:
            return None
        stat = _table(os.path.join(self._directories["memory"], "memory.stat"))
        return max(0, used - stat.get("total_inactive_file", 0))

    def memory_peak_bytes(self) -> int | None:
        return self._number("memory", "memory.max_usage_in_bytes")

    def oom_kills(self) -> int:
        if "memory" not in self._directories:
            return 0
        path = os.path.join(self._directories["memory"], "memory.oom_control")
        return _table(path).get("oom_kill", 0)

    def forbid_forks(self) -> None:
        self._set("pids", "pids.max", 0, optional=True)

    def own_directories(self) -> list[str]:
        return list(self._directories.values())

    def _set(self, controller: str, name: str, value: int, *, optional: bool = False) -> None:
        if controller in self._directories:
            path = os.path.join(self._directories[controller], name)
            if not optional or os.path.exists(path):
                _write(path, value)

    def _number(self, controller: str, name: str) -> int | None:
        if controller not in self._directories:
            return None
        return _number(os.path.join(self._directories[controller], name))


class GroupV2(Group):
    """A launch's group in the unified hierarchy of version 2."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def create(self, *, cpu_millis: int, memory_bytes: int, pids_max: int) -> None:
        _make(self._directory)
        parent = os.path.dirname(self._directory)
        for above in (os.path.dirname(parent), parent):
            _write(os.path.join(above, "cgroup.subtree_control"), "+cpu +memory +pids")
        self._set("cpu.max", f"{_quota_us(cpu_millis)} {CPU_PERIOD_US}")
        self._set("memory.max", memory_bytes)
        if os.path.exists(os.path.join(self._directory, "memory.swap.max")):
            self._set("memory.swap.max", 0)
        self._set("pids.max", pids_max)

    def join_files(self) -> list[str]:
        return [os.path.join(self._directory, "cgroup.procs")]

    def pids(self) -> list[int]:
        return _pids(self._directory)

    def cpu_nanoseconds(self) -> int | None:
        microseconds = _table(os.path.join(self._directory, "cpu.stat")).get("usage_usec")
        return None if microseconds is None else microseconds * 1000

    def memory_bytes(self) -> int | None:
        used = _number(os.path.join(self._directory, "memory.current"))
        if used is None:
            return None
        stat = _table(os.path.join(self._directory, "memory.stat"))
        return max(0, used - stat.get("inactive_file", 0))

    def memory_peak_bytes(self) -> int | None:
        return _number(os.path.join(self._directory, "memory.peak"))

    def oom_kills(self) -> int:
        return _table(os.path.join(self._directory, "memory.events")).get("oom_kill", 0)

    def forbid_forks(self) -> None:
        try:
            self._set("pids.max", 0)
        except OSError:
            return

    def kill(self) -> None:
        try:
            self._set("cgroup.kill", 1)
        except OSError:  # Before Linux 5.14 there is no such file.
            super().kill()
            return
        super().kill()  # Waits until it has happened.

    def own_directories(self) -> list[str]:
        return [self._directory]

    def _set(self, name: str, value: int | str) -> None:
        _write(os.path.join(self._directory, name), value)


def open_group(record: Cgroup | None) -> Group:
    """Return the group that a launch's record names."""
    if record is None:
        return Group()
    if record["version"] == 2:
        return GroupV2(record["directories"]["unified"])
    return GroupV1(record["directories"])


def detect(*, proc: str = "/proc") -> Cgroup | None:
    """Find by trying the parents under which we can make groups: version 2 first, else version 1."""
    return next(filter(works, candidates(proc=proc)), None)


def works(parents: Cgroup) -> bool:
    """Say whether a group can be made there with its limits; a container may show what it forbids."""
    record = plan(parents, owner=f"galerne-probe-{os.getpid()}", handle="probe")
    group = open_group(record)
    try:
        group.create(cpu_millis=1000, memory_bytes=1 << 30, pids_max=16)
    except OSError:
        return False
    finally:
        group.remove()
    return True


def candidates(*, proc: str = "/proc") -> list[Cgroup]:
    """Return the parents that look usable, the best first."""
    found = []
    own = _own_paths(os.path.join(proc, "self/cgroup"))
    mounts = _mounts(os.path.join(proc, "self/mountinfo"))
    unified = mounts.get("unified")
    if unified is not None:
        parent = _v2_parent(unified[0], own.get("", "/"))
        if parent is not None:
            found.append(Cgroup(version=2, directories={"unified": parent}))
    directories = {}
    for controller in V1_CONTROLLERS:
        if controller in mounts:
            directory = _below(*mounts[controller], own.get(controller, "/"))
            if os.access(directory, os.W_OK):
                directories[controller] = directory
    if directories.keys() & {"memory", "pids"}:
        found.append(Cgroup(version=1, directories=directories))
    return found


def plan(parents: Cgroup | None, *, owner: str, handle: str) -> Cgroup | None:
    """Name the directories of one launch; `owner` tells state directories on one machine apart."""
    if parents is None:
        return None
    directories = {
        controller: os.path.join(parent, owner, handle)
        for controller, parent in parents["directories"].items()
    }
    return Cgroup(version=parents["version"], directories=directories)


def _v2_parent(mount: str, own: str) -> str | None:
    """Choose where version 2 lets us make groups that have controllers.

    Root works below the top, as container engines do without systemd. Others need their own group to be
    delegated with the control plane in a child of it (`Delegate=yes`, `DelegateSubgroup=`).
    """
    top = mount if os.geteuid() == 0 else os.path.dirname(mount + own.rstrip("/"))
    controllers = _read(os.path.join(top, "cgroup.controllers")).split()
    usable = os.access(os.path.join(top, "cgroup.subtree_control"), os.W_OK)
    return top if usable and set(V2_CONTROLLERS) <= set(controllers) else None


def _own_paths(path: str) -> dict[str, str]:
    """Return our own group in each hierarchy; version 2 under the empty name."""
    paths = {}
    for line in _read(path).splitlines():
        _, controllers, group = line.split(":", 2)
        for controller in controllers.split(","):
            paths[controller] = group
    return paths


def _mounts(path: str) -> dict[str, tuple[str, str]]:
    """Return mount point and root of each controller's hierarchy; version 2 as `unified`."""
    mounts = {}
    for line in _read(path).splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        root, mount = left.split(" ")[3:5]
        if kind == "cgroup2":
            mounts["unified"] = (mount, root)
        elif kind == "cgroup":
            for controller in options.rpartition(" ")[2].split(","):
                mounts[controller] = (mount, root)
    return mounts


def _below(mount: str, root: str, own: str) -> str:
    """Return our own group's directory; in a container the mount shows only a part of the tree."""
    relative = own.removeprefix(root) if root != "/" else own
    return os.path.join(mount, relative.strip("/")).rstrip("/")


def _make(directory: str) -> None:
    """Make a group below our own, which another launch's end may drop between the two steps."""
    for _ in range(MAKE_ATTEMPTS):
        try:
            for path in (os.path.dirname(directory), directory):
                if not os.path.isdir(path):
                    os.mkdir(path)
        except (FileExistsError, FileNotFoundError):
            continue
        return
    raise FileNotFoundError(errno.ENOENT, "control group cannot be made", directory)


def _remove(directory: str) -> bool:
    """Drop a group, and its parent with the last launch; False while it has processes."""
    try:
        os.rmdir(directory)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        os.rmdir(os.path.dirname(directory))
    except OSError:
        return True
    return True


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _pids(directory: str) -> list[int]:
    return [int(line) for line in _read(os.path.join(directory, "cgroup.procs")).split()]


def _quota_us(cpu_millis: int) -> int:
    return max(CPU_QUOTA_US_MIN, cpu_millis * CPU_PERIOD_US // 1000)


def _table(path: str) -> dict[str, int]:
    """Read a file of `name number` lines."""
    pairs = (line.split() for line in _read(path).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _number(path: str) -> int | None:
    text = _read(path).strip()
    return int(text) if text.isdigit() else None


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except OSError:
        return ""


def _write(path: str, value: int | str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(str(value))
