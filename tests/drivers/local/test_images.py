"""Images are built once, on first use, by a process that no launch owns."""

import os
import signal
import zipfile
from pathlib import Path

import pytest
from tests.drivers.local.lab import Lab, processes_with

from galerne.drivers.base import ExitCause, Phase
from galerne.drivers.local.discovery import Platform
from galerne.drivers.local.environments import Environments, Image, Requirements
from galerne.drivers.local.image_builder import count_requirements, explain

METADATA = "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n"
WHEEL = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
FEW = ("python", "-c", "import tiny; print(tiny.__file__)")


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A requirement file that needs no network: a wheel of one module."""
    wheel = tmp_path / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny.py", "")
        archive.writestr("tiny-1.0.dist-info/METADATA", METADATA)
        archive.writestr(
            "tiny-1.0.dist-info/WHEEL",
            WHEEL,
        )
        archive.writestr("tiny-1.0.dist-info/RECORD", "")
    path = tmp_path / "tiny.txt"
    path.write_text(f"--no-index\ntiny @ {wheel.as_uri()}\n", encoding="ascii")
    return path


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.txt"
    path.write_text("--no-index\nno-such-package==1\n", encoding="ascii")
    return path


class TestBuild:
    async def test_is_shared_and_says_how_far_it_is(
        self, tmp_path: Path, tiny: Path, found: Platform
    ) -> None:
        """Two launches that want an image build it once, report it while they wait, and then run in it.

        A stop of one takes the build from nobody.
        """
        images = {"test/tiny": Image((Requirements(tiny, hashed=False),))}
        lab = Lab(tmp_path, images=images, platform=found)
        for handle in ("a", "b", "gives-up"):
            await lab.driver.submit(lab.launch(handle, *FEW, image="test/tiny"))
        seen = await lab.until("a", lambda o: "building image test/tiny" in o.detail)
        assert seen.phase is Phase.PREPARING
        builders = set(processes_with("image_builder"))
        await lab.driver.stop("gives-up", grace_seconds=5)
        stopped = await lab.until("gives-up", Phase.ENDED)
        for handle in ("a", "b"):
            ended = await lab.until(handle, Phase.ENDED)
            assert ended.exit is not None
            assert ended.exit.cause is ExitCause.COMPLETED, await lab.log(handle)
            builders |= set(processes_with("image_builder"))
        assert stopped.exit is not None
        assert (stopped.exit.cause, stopped.started_at) == (ExitCause.STOPPED, None)
        assert len(builders) == 1
        assert "images/test-tiny-" in await lab.log("a")
        await lab.close()

    async def test_that_fails(self, tmp_path: Path, broken: Path, found: Platform) -> None:
        """A build that fails ends the launch with pip's own words, leaves nothing, and is tried again."""
        images = {"test/broken": Image((Requirements(broken, hashed=False),))}
        lab = Lab(tmp_path, images=images, platform=found)
        for handle in ("a", "again"):
            ended = await lab.run(handle, "true", image="test/broken")
            assert ended.exit is not None
            assert ended.exit.cause is ExitCause.LAUNCH_FAILED
            assert "image test/broken could not be built" in ended.exit.message
            assert "no-such-package" in ended.exit.message
        assert [p for p in (lab.state_dir / "images").iterdir() if p.is_dir()] == []
        await lab.close()

    async def test_that_is_killed(self, tmp_path: Path, tiny: Path, found: Platform) -> None:
        """A build that is killed half-way is begun again from nothing, by whoever waits for it."""
        images = {"test/tiny": Image((Requirements(tiny, hashed=False),))}
        lab = Lab(tmp_path, images=images, platform=found)
        await lab.driver.submit(lab.launch("a", *FEW, image="test/tiny"))
        await lab.until("a", lambda o: "making" in o.detail)
        for pid in processes_with(str(lab.state_dir / "images")):
            os.kill(pid, signal.SIGKILL)
        ended = await lab.until("a", Phase.ENDED)
        assert ended.exit is not None
        assert ended.exit.cause is ExitCause.COMPLETED, ended.exit.message
        await lab.close()


class TestPrefix:
    async def test_existing_environment(self, tmp_path: Path, found: Platform) -> None:
        """An environment that is there already is seen, first on PATH, and never built."""
        prefix = tmp_path / "ready"
        (prefix / "bin").mkdir(parents=True)
        (prefix / "bin" / "hello").write_text('#!/bin/sh\ncat "$1"\n', encoding="ascii")
        (prefix / "bin" / "hello").chmod(0o755)
        more = tmp_path / "more.txt"
        more.write_text("more", encoding="ascii")
        images = {"test/ready": Image(prefix=prefix, readable=(more,))}
        lab = Lab(tmp_path, images=images, platform=found)
        await lab.run("a", "hello", str(more), image="test/ready")
        assert await lab.log("a") == "more"
        await lab.close()


class TestNames:
    def test_digest_follows_the_content(self, tmp_path: Path) -> None:
        """A changed requirement file is another image; the same content is the same."""
        path = tmp_path / "r.txt"
        environments = Environments(tmp_path, {"i": Image((Requirements(path),))})
        path.write_text("a==1", encoding="ascii")
        first = environments.resolve("i")
        assert environments.resolve("i") == first
        path.write_text("a==2", encoding="ascii")
        assert environments.resolve("i") != first


class TestText:
    def test_counts_packages(self, tmp_path: Path) -> None:
        """Options, comments and hashes are no packages."""
        path = tmp_path / "r.txt"
        path.write_text(
            "# x\n--no-index\na==1 \\\n    --hash=sha256:00\n\nb==2\n    # via a\n",
            encoding="ascii",
        )
        assert count_requirements(str(path)) == 2

    @pytest.mark.parametrize(
        ("lines", "expected"),
        [
            (["Collecting a", "ERROR: no such thing", "hint"], "ERROR: no such thing"),
            (["one", "two"], "one; two"),
            ([], "exit code 1"),
            (
                ["The virtual environment was not created: ensurepip is not available."],
                "python3-venv",
            ),
        ],
    )
    def test_explains(self, lines: list[str], expected: str) -> None:
        """What went wrong is in the message, and what to install where that is known."""
        assert expected in explain(lines, 1)
