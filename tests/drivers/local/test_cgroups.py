"""Control groups on trees of files: what this machine's kernel does not have is tested here as files only."""

import os
from pathlib import Path

import pytest

from galerne.drivers.local import cgroups
from galerne.drivers.local.cgroups import Group, GroupV1, GroupV2
from galerne.drivers.local.records import Cgroup


@pytest.fixture
def v2(tmp_path: Path) -> Path:
    """A version 2 hierarchy with every controller, as plain files."""
    root = tmp_path / "cgroup"
    own = root / "system.slice" / "galerne.service" / "control"
    own.mkdir(parents=True)
    for directory in (root, own.parent):
        (directory / "cgroup.controllers").write_text(
            "cpuset cpu io memory pids\n", encoding="ascii"
        )
        (directory / "cgroup.subtree_control").write_text("", encoding="ascii")
    proc = tmp_path / "proc" / "self"
    proc.mkdir(parents=True)
    (proc / "cgroup").write_text("0::/system.slice/galerne.service/control\n", encoding="ascii")
    (proc / "mountinfo").write_text(
        f"30 23 0:26 / {root} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
        encoding="ascii",
    )
    return root


class TestDetect:
    def test_v2(self, v2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Root works below the top, others below their delegated group."""
        proc = str(v2.parent / "proc")
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        assert cgroups.candidates(proc=proc) == [
            Cgroup(version=2, directories={"unified": str(v2)})
        ]
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        delegated = str(v2 / "system.slice" / "galerne.service")
        assert cgroups.candidates(proc=proc) == [
            Cgroup(version=2, directories={"unified": delegated})
        ]

    def test_v1_in_a_container(self, tmp_path: Path) -> None:
        """Controllers that share a mount, a mount of a part of the tree, and an empty version 2."""
        proc = tmp_path / "self"
        proc.mkdir()
        for name in ("cpu,cpuacct", "memory/job", "pids", "unified"):
            (tmp_path / name).mkdir(parents=True)
        (tmp_path / "unified" / "cgroup.controllers").write_text("hugetlb\n", encoding="ascii")
        (proc / "cgroup").write_text(
            "5:pids:/\n4:memory:/docker/1/job\n2:cpu,cpuacct:/\n0::/\n", encoding="ascii"
        )
        (proc / "mountinfo").write_text(
            f"1 1 0:1 / {tmp_path}/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
            f"2 1 0:2 /docker/1 {tmp_path}/memory rw - cgroup cgroup rw,memory\n"
            f"3 1 0:3 / {tmp_path}/pids rw - cgroup cgroup rw,pids\n"
            f"4 1 0:4 / {tmp_path}/unified rw - cgroup2 cgroup2 rw\n",
            encoding="ascii",
        )
        (candidate,) = cgroups.candidates(proc=str(tmp_path))
        assert candidate == Cgroup(
            version=1,
            directories={
                "cpu": f"{tmp_path}/cpu,cpuacct",
                "cpuacct": f"{tmp_path}/cpu,cpuacct",
                "memory": f"{tmp_path}/memory/job",
                "pids": f"{tmp_path}/pids",
            },
        )

    def test_none(self, tmp_path: Path) -> None:
        """A machine without control groups has none, and a launch there has a group that does nothing."""
        assert cgroups.detect(proc=str(tmp_path)) is None
        assert not cgroups.works(Cgroup(version=1, directories={"pids": "/nonexistent/forbidden"}))
        assert cgroups.plan(None, owner="o", handle="h") is None
        group = cgroups.open_group(None)
        group.create(cpu_millis=1, memory_bytes=1, pids_max=1)
        group.kill()
        group.remove()
        assert (group.pids(), group.join_files(), group.oom_kills()) == ([], [], 0)
        assert type(group) is Group


class TestV2:
    def test_limits(self, v2: Path) -> None:
        """CPU, memory and processes are limited, and swap is not a way out."""
        directory = v2 / "galerne-1" / "a"
        directory.mkdir(parents=True)
        (directory / "memory.swap.max").touch()
        group = cgroups.open_group(
            cgroups.plan(
                Cgroup(version=2, directories={"unified": str(v2)}), owner="galerne-1", handle="a"
            )
        )
        group.create(cpu_millis=1500, memory_bytes=1000, pids_max=10)
        files = ("cpu.max", "memory.max", "memory.swap.max", "pids.max")
        assert [(directory / name).read_text(encoding="ascii") for name in files] == [
            "150000 100000",
            "1000",
            "0",
            "10",
        ]
        assert group.join_files() == [str(directory / "cgroup.procs")]

    def test_accounting(self, tmp_path: Path) -> None:
        """CPU time, memory without what the kernel would drop, the peak and kills come from the kernel."""
        for name, text in {
            "cpu.stat": "usage_usec 12\nuser_usec 7\n",
            "memory.current": "1000\n",
            "memory.stat": "anon 600\ninactive_file 300\n",
            "memory.peak": "2000\n",
            "memory.events": "low 0\noom 1\noom_kill 1\n",
            "cgroup.procs": "",
        }.items():
            (tmp_path / name).write_text(text, encoding="ascii")
        group = GroupV2(str(tmp_path))
        assert (
            group.cpu_nanoseconds(),
            group.memory_bytes(),
            group.memory_peak_bytes(),
            group.oom_kills(),
        ) == (12_000, 700, 2000, 1)
        group.kill()
        assert (tmp_path / "cgroup.kill").read_text(encoding="ascii") == "1"

    @pytest.mark.parametrize("group", [GroupV2("/nonexistent"), GroupV1({"pids": "/nonexistent"})])
    def test_that_is_gone(self, group: Group) -> None:
        """A group that somebody removed has no figures, and killing it is no error."""
        group.kill()
        group.remove()
        assert (group.cpu_nanoseconds(), group.memory_bytes(), group.pids()) == (None, None, [])
