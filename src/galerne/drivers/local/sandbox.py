"""Spells the sandbox of a launch: what it sees of the machine, as a command line before its own.

With bubblewrap a launch has user, pid, ipc, uts and mount namespaces of its own, no capability and no way
to gain privileges, a read-only root with the system's programs, its own workspace, its inputs, its image,
what its `read_only` names, and nothing else of the machine's files. Without it, setpriv takes privileges
away, the environment is clean, and that is all: `isolation` says which of the two holds. Network `loopback`
and `open` both mean the node's network: bubblewrap cannot tell them apart. Limits are cgroups' business.

Who runs the control plane as root should know that launches have the machine's user id 0, without any
capability: what trusts the id alone must be kept from their sight. That is why proc is read-only here.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from galerne.drivers.base import Launch, Network

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
PROBE_SECONDS_MAX = 10
SANDBOX_ID = 1000
ETC = (
    "alternatives",
    "ca-certificates",
    "gai.conf",
    "host.conf",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "nsswitch.conf",
    "pki/tls/certs",
    "protocols",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
    "timezone",
)
ETC_NETWORK = ("resolv.conf", "hosts")
NVIDIA_DEVICES = ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools")
_PASSWD = f"galerne:x:{SANDBOX_ID}:{SANDBOX_ID}::/tmp:/bin/sh\n"
_GROUP = f"galerne:x:{SANDBOX_ID}:\n"
_HOSTS = "127.0.0.1 localhost\n::1 localhost\n"


@dataclass(frozen=True, slots=True)
class Tools:
    """What of the machine's isolation tools really works here."""

    bubblewrap: str | None
    bubblewrap_version: str
    setpriv: str | None

    def isolation(self) -> tuple[str, ...]:
        """Say what holds, for `NodeReport`."""
        if self.bubblewrap is None:
            private = ", no new privileges" if self.setpriv else ""
            return (f"no sandbox: plain processes, clean environment{private}",)
        identity = ("launches have the node's user 0, without capabilities",)
        return (
            f"bubblewrap {self.bubblewrap_version}: user, pid, ipc, uts, mount",
            "network: none is enforced, loopback is not told from open",
            *(identity if os.geteuid() == 0 else ()),
        )


@dataclass(frozen=True, slots=True)
class View:
    """What a launch sees besides the system: its image's files and who it is."""

    identity: Path  # Directory with passwd, group and hosts, made by `write_identity`.
    readable: tuple[Path, ...] = ()
    path: tuple[Path, ...] = field(default=())  # Directories of programs, first on PATH.


def probe() -> Tools:
    """Find out by running it whether bubblewrap works here; a container may forbid namespaces."""
    setpriv = shutil.which("setpriv")
    program = shutil.which("bwrap")
    if program is None:
        return Tools(None, "", setpriv)
    probe_command = [program, *_namespaces(Network.NONE), "--ro-bind", "/", "/", *_kernel(), "true"]
    version = _run([program, "--version"])
    if version is None or _run(probe_command) is None:
        return Tools(None, "", setpriv)
    return Tools(program, version.split()[-1], setpriv)


def write_identity(directory: Path) -> None:
    """Write the user database of the sandbox: one user without a name that means anything."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, text in (("passwd", _PASSWD), ("group", _GROUP), ("hosts", _HOSTS)):
        path = directory / name
        if not path.exists() or path.read_text(encoding="ascii") != text:
            path.write_text(text, encoding="ascii")


def command(launch: Launch, tools: Tools, view: View) -> list[str]:
    """Spell what comes before the launch's own command. Pure but for looking at the system's links."""
    if tools.bubblewrap is None:
        return _setpriv(tools)
    size_bytes = str(max(1, min(launch.resources.memory_bytes, launch.resources.disk_bytes)))
    workspace = str(launch.workspace)
    binds = [
        *_system(),
        *_etc(launch.network, view.identity),
        *_readable((*view.readable, *launch.read_only)),
    ]
    inputs = [
        part
        for mount in launch.inputs
        for part in ("--ro-bind", str(mount.source), str(launch.workspace / mount.target))
    ]
    devices = _accelerators() if launch.resources.accelerators else []
    return [
        tools.bubblewrap,
        *_namespaces(launch.network),
        *_kernel(),
        *devices,
        *("--size", size_bytes, "--tmpfs", "/tmp"),  # noqa: S108 - the sandbox's own
        *("--size", size_bytes, "--tmpfs", "/dev/shm"),  # noqa: S108 - the sandbox's own
        *binds,
        *("--bind", workspace, workspace),
        *inputs,
        *("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", workspace),
    ]


def environment(launch: Launch, view: View, *, bubblewrap: bool) -> dict[str, str]:
    """Return the launch's whole environment; nothing of the control plane's is in it."""
    workspace = str(launch.workspace)
    env = {
        "PATH": SYSTEM_PATH,
        "HOME": workspace,
        "LANG": "C.UTF-8",
        "TMPDIR": "/tmp" if bubblewrap else workspace,  # noqa: S108 - the sandbox's own
        **launch.env,
    }
    env["PATH"] = ":".join([*map(str, view.path), env["PATH"]])
    return env


def python_prefix() -> tuple[Path, ...]:
    """Return where this interpreter's library is, if the system's directories do not show it already."""
    prefix = Path(sys.base_prefix).resolve()
    return () if prefix.is_relative_to("/usr") else (prefix,)


def _namespaces(network: Network) -> list[str]:
    unshare = ["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
    if network is Network.NONE:
        unshare.append("--unshare-net")
    user = ["--uid", str(SANDBOX_ID), "--gid", str(SANDBOX_ID), "--cap-drop", "ALL"]
    return [*unshare, *user, "--hostname", "galerne", "--new-session", "--die-with-parent"]


def _kernel() -> list[str]:
    """Mount proc and dev; proc read-only, since sysctls trust the machine's root whatever its namespace."""
    return ["--proc", "/proc", "--remount-ro", "/proc", "--dev", "/dev"]


def _system() -> Iterator[str]:
    yield from ("--ro-bind", "/usr", "/usr")
    for name in ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"):
        path = Path(name)
        if path.is_symlink():
            yield from ("--symlink", str(path.readlink()), name)
        elif path.is_dir():
            yield from ("--ro-bind", name, name)
    yield from ("--ro-bind-try", "/sys/devices/system/cpu", "/sys/devices/system/cpu")


def _etc(network: Network, identity: Path) -> Iterator[str]:
    for name in ETC:
        yield from ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")
    for name in ("passwd", "group"):
        yield from ("--ro-bind", str(identity / name), f"/etc/{name}")
    if network is Network.NONE:
        yield from ("--ro-bind", str(identity / "hosts"), "/etc/hosts")
        return
    for name in ETC_NETWORK:
        yield from ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")


def _readable(paths: tuple[Path, ...]) -> Iterator[str]:
    for path in dict.fromkeys((*python_prefix(), *paths)):
        yield from ("--ro-bind", str(path), str(path))


def _accelerators() -> list[str]:
    """Show the devices that all accelerators share; the shim adds the allotted ones."""
    shared = [part for path in NVIDIA_DEVICES for part in ("--dev-bind-try", path, path)]
    return [*shared, "--ro-bind-try", "/sys", "/sys"]


def _setpriv(tools: Tools) -> list[str]:
    if tools.setpriv is None:
        return []
    drop = ["--inh-caps=-all", "--bounding-set=-all"] if os.geteuid() == 0 else []
    return [tools.setpriv, "--no-new-privs", "--pdeathsig", "KILL", *drop]


def _run(argv: list[str]) -> str | None:
    """Run a probe; return what it printed, None if it failed."""
    try:
        done = subprocess.run(  # noqa: S603 - programs found on the operator's own PATH
            argv,
            capture_output=True,
            check=True,
            text=True,
            timeout=PROBE_SECONDS_MAX,
            env={"PATH": SYSTEM_PATH},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
