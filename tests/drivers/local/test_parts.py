"""The small pure parts: the log's segments, the verdict on an end, the machine's report."""

import asyncio
import fcntl
import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from galerne.drivers.base import ExitCause
from galerne.drivers.local import discovery, records, segments, workspace_size
from galerne.drivers.local.launch_store import LaunchStore
from galerne.drivers.local.program import Ended, explain_start
from galerne.drivers.local.records import StopRecord
from galerne.drivers.local.segments import LogWriter
from galerne.drivers.local.shim import Reason, judge
from galerne.drivers.local.usage import descendants, tree_use
from galerne.drivers.local.workspace_size import WorkspaceSize


class TestSegments:
    @settings(
        max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(
        sizes=st.lists(st.integers(0, 9000), max_size=30),
        offset=st.integers(0, 60_000),
        piece=st.integers(1, 5000),
    )
    def test_what_is_read_is_what_was_written(
        self, tmp_path_factory: pytest.TempPathFactory, sizes: list[int], offset: int, piece: int
    ) -> None:
        """Whatever was rotated away, every byte that is read stands at its offset, up to the end."""
        directory = str(tmp_path_factory.mktemp("log") / "log")
        writer = LogWriter(directory, bytes_max=32_768)
        whole = bytes(i * 7 % 251 for i in range(sum(sizes)))
        position = 0
        for size in sizes:
            writer.write(whole[position : position + size])
            position += size
        writer.close()
        while True:
            begin, data = segments.read(directory, offset=offset, bytes_max=piece)
            assert begin >= offset
            assert data == whole[begin : begin + len(data)]
            if not data:
                break
            offset = begin + len(data)
        assert offset >= segments.end_offset(directory) == len(whole)
        assert sum(p.stat().st_size for p in Path(directory).iterdir()) <= 32_768

    def test_lost_output_is_named(self, tmp_path: Path) -> None:
        """Output that could not be written leaves a gap in the offsets and a line that says so."""
        writer = LogWriter(str(tmp_path / "log"), bytes_max=100_000)
        writer.write(b"before\n")
        (tmp_path / "log").rename(tmp_path / "away")  # Stands for a disk that takes nothing.
        writer._close_segment()
        writer.write(b"lost\n")
        (tmp_path / "away").rename(tmp_path / "log")
        writer.write(b"after\n")
        writer.close()
        assert segments.read(str(tmp_path / "log"), offset=0, bytes_max=100) == (0, b"before\n")
        begin, data = segments.read(str(tmp_path / "log"), offset=7, bytes_max=100)
        assert begin == len("before\nlost\n")
        assert data == b"\n[galerne] 5 bytes of output were lost here: disk full\nafter\n"


class TestJudge:
    @pytest.mark.parametrize(
        ("reason", "ended", "oom_kills", "disk_full", "cause"),
        [
            (None, Ended(0, None), 0, False, ExitCause.COMPLETED),
            (None, Ended(0, None), 3, False, ExitCause.COMPLETED),
            (None, Ended(1, None), 0, False, ExitCause.FAILED),
            (None, Ended(139, 11), 0, False, ExitCause.FAILED),
            (None, Ended(137, 9), 1, False, ExitCause.OUT_OF_MEMORY),
            (None, Ended(1, None), 1, False, ExitCause.OUT_OF_MEMORY),
            (None, Ended(None, None), 0, False, ExitCause.LAUNCH_FAILED),
            (None, Ended(1, None), 0, True, ExitCause.DISK_LIMIT),
            (Reason("stopped", ""), Ended(137, 9), 1, True, ExitCause.STOPPED),
            (Reason("time_limit", ""), Ended(0, None), 0, False, ExitCause.TIME_LIMIT),
        ],
    )
    def test_causes(
        self, reason: Reason | None, ended: Ended, oom_kills: int, disk_full: bool, cause: ExitCause
    ) -> None:
        """A reason of ours comes first, then the kernel's, then the program's own."""
        verdict = judge(reason, ended, not_started=None, oom_kills=oom_kills, disk_full=disk_full)
        assert verdict.cause == cause


class TestStart:
    @pytest.mark.parametrize(
        ("tail", "expected"),
        [
            ("bwrap: execvp x: No such file or directory", "was not found"),
            ("setpriv: failed to execute x: Permission denied", "cannot be run: Permission denied"),
            ("bwrap: Can't mkdir /y: No space left", "sandbox could not be set up"),
            ("the program's own words", None),
        ],
    )
    def test_explains(self, tail: str, expected: str | None) -> None:
        """Why a program did not start is read from the last words of what should have started it."""
        said = explain_start("x", f"noise\n{tail}\n")
        assert (said is None) if expected is None else expected in (said or "")


class TestTree:
    async def test_use_below_a_process(self) -> None:
        """Memory and CPU time of a process are those of all below it too."""
        child = await asyncio.create_subprocess_exec("sleep", "60")
        assert child.pid in descendants(os.getpid())
        cpu, memory = tree_use(os.getpid())
        child.kill()
        await child.wait()
        assert cpu > 0
        assert memory > 10_000_000
        assert tree_use(child.pid) == (0, 0)


class TestStore:
    def test_sweeps_what_was_cut(self, tmp_path: Path) -> None:
        """Directories of cut calls go after an hour; younger ones may have an owner, and stay."""
        store = LaunchStore(tmp_path)
        for name in (".new-1", ".forgotten-1"):
            (tmp_path / name).mkdir()
        store.sweep(now=time.time())
        assert len(list(tmp_path.iterdir())) == 2
        store.sweep(now=time.time() + 7200)
        assert list(tmp_path.iterdir()) == []

    def test_stop_wakes_nobody_else(self, tmp_path: Path) -> None:
        """A request for a supervisor whose pid is another's now is left as a file, and no signal sent."""
        store = LaunchStore(tmp_path)
        (tmp_path / "a").mkdir()
        identity = records.identify(os.getpid(), started_at=0.0)
        records.write(str(tmp_path / "a"), records.SHIM, {**identity, "start_ticks": 1})
        store.request_stop("a", StopRecord(grace_seconds=1))
        assert records.read(str(tmp_path / "a"), records.STOP) == {"grace_seconds": 1}

    def test_interrupt_leaves_a_supervised_launch_alone(self, tmp_path: Path) -> None:
        """While somebody holds the launch's lock its end is not ours to record."""
        store = LaunchStore(tmp_path)
        (tmp_path / "a").mkdir()
        with (tmp_path / "a" / "lock").open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            assert store.interrupt("a", cause="interrupted", message="", now=1.0) is None
        record = store.interrupt("a", cause="interrupted", message="gone", now=1.0)
        assert record is not None
        assert store.interrupt("a", cause="failed", message="", now=2.0) == record


class TestRecords:
    def test_a_cut_record_is_none(self, tmp_path: Path) -> None:
        """A record that a power cut has emptied is as if it had not been written."""
        (tmp_path / "x.json").write_bytes(b"")
        assert records.read(str(tmp_path), "x.json") is None
        assert records.read(str(tmp_path), "y.json") is None

    def test_reserved_records_are_whole(self, tmp_path: Path) -> None:
        """A record in reserved blocks reads as what was written; a second one replaces it."""
        records.reserve(str(tmp_path))
        for value in (1, 2):
            records.write_reserved(str(tmp_path), records.STOP, {"grace_seconds": value})
            assert records.read(str(tmp_path), records.STOP) == {"grace_seconds": value}


class TestWorkspaceSize:
    def test_links_are_not_followed(self, tmp_path: Path) -> None:
        """What a symbolic link points to is not in the workspace."""
        (tmp_path / "link").symlink_to("/usr")
        (tmp_path / "file").write_bytes(b"x" * 100_000)
        size = WorkspaceSize(str(tmp_path))
        assert 100_000 <= size.step() < 200_000
        assert size.measure() == size.step()

    def test_goes_on_where_it_stopped(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A large workspace is walked in steps, and the sum does not shrink meanwhile."""
        monkeypatch.setattr(workspace_size, "ENTRIES_PER_STEP", 50)
        for i in range(60):
            (tmp_path / str(i)).touch()
        size = WorkspaceSize(str(tmp_path))
        assert size.step() < size.step() == size.measure()


class TestDiscovery:
    def test_cpu_model(self, tmp_path: Path) -> None:
        """The processor's name is read on x86 and on Arm boards; where there is none, it stays empty."""
        cpuinfo = tmp_path / "cpuinfo"
        cpuinfo.write_text("processor\t: 0\nmodel name\t: AMD EPYC\n", encoding="ascii")
        assert discovery.cpu_model(cpuinfo) == "AMD EPYC"
        cpuinfo.write_text("processor\t: 0\n", encoding="ascii")
        assert not discovery.cpu_model(cpuinfo)
