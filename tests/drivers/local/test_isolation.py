"""What a launch can see and do beyond its own workspace: nothing that the driver says it cannot."""

import json
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.drivers.local.lab import PYTHON, Lab

from galerne.drivers.base import ExitCause, Mount, Network, Phase
from galerne.drivers.errors import LaunchRefused
from galerne.drivers.local.discovery import Platform
from galerne.drivers.local.sandbox import Tools


async def output(lab: Lab, script: str, **changes: object) -> str:
    """Return what a shell script prints, after it has ended well."""
    ended = await lab.run("a", "sh", "-c", script, **changes)
    text = await lab.log("a")
    assert ended.exit is not None
    assert ended.exit.cause is ExitCause.COMPLETED, text
    return text


@pytest.mark.usefixtures("sandboxed")
class TestFiles:
    async def test_root_is_read_only(self, lab: Lab) -> None:
        """Programs, settings, devices and the root itself cannot be changed."""
        script = "for d in / /usr /usr/bin /etc /dev /root; do ! touch $d/x || exit 1; done"
        assert (await output(lab, script)).count("Read-only file system") == 6

    async def test_root_is_small(self, lab: Lab) -> None:
        """Of the machine's own files there is nothing, but for the way to our Python."""
        script = "ls /etc/shadow /home /var /srv 2>/dev/null; find /root -mindepth 1 -maxdepth 2"
        lines = (await output(lab, script)).splitlines()
        assert all(Path(line) in Path(PYTHON).parents for line in lines)

    async def test_other_workspaces_and_state_are_invisible(self, lab: Lab) -> None:
        """A launch sees its own workspace at its own path, and neither its neighbours nor the records."""
        neighbour = lab.launch("neighbour", "true").workspace
        (neighbour / "secret").write_text("secret", encoding="ascii")
        script = f"ls {neighbour.parent}; ls {lab.state_dir} 2>&1 || true; pwd; echo mine > file"
        text = await output(lab, script)
        mine = lab.directory / "workspaces" / "a"
        assert text.splitlines()[0] == "a"
        assert "No such file" in text
        assert str(mine) in text
        assert (mine / "file").read_text(encoding="ascii") == "mine\n"

    async def test_tmp_is_private_and_bounded(self, lab: Lab) -> None:
        """Temporary files are the launch's own, and no larger than its workspace may be."""
        await output(lab, "test ! -e /tmp/pytest-of-root/garbage; ! head -c 40m /dev/zero > /tmp/x")

    async def test_inputs_are_read_only(self, lab: Lab, tmp_path: Path) -> None:
        """An input is where the launch asked for it, and stays as it is."""
        source = tmp_path / "dataset"
        source.mkdir()
        (source / "text").write_text("data", encoding="ascii")
        script = "cat in/put/text; ! echo more >> in/put/text"
        assert "data" in await output(lab, script, inputs=(Mount(source, "in/put"),))
        assert (source / "text").read_text(encoding="ascii") == "data"

    async def test_read_only_paths(self, lab: Lab, tmp_path: Path) -> None:
        """A path of the node that a launch names is seen at its own place, and stays as it is."""
        program = tmp_path / "programs" / "serve"
        program.parent.mkdir()
        program.write_text("fine", encoding="ascii")
        script = f"cat {program}; ! echo more >> {program}"
        assert "fine" in await output(lab, script, read_only=(program.parent,))
        assert program.read_text(encoding="ascii") == "fine"

    async def test_input_through_a_planted_link(self, lab: Lab, tmp_path: Path) -> None:
        """A symbolic link left in the workspace does not lead an input out of it."""
        outside = tmp_path / "outside"
        outside.mkdir()
        launch = lab.launch("a", "true", inputs=(Mount(Path("/etc/hostname"), "in/put"),))
        (launch.workspace / "in").symlink_to(outside)
        await lab.driver.submit(launch)
        ended = await lab.until("a", Phase.ENDED)
        assert ended.exit is not None
        assert ended.exit.cause is ExitCause.LAUNCH_FAILED
        assert list(outside.iterdir()) == []

    async def test_python_works(self, lab: Lab) -> None:
        """The control plane's Python runs inside, wherever it is installed."""
        ended = await lab.run("a", PYTHON, "-c", "import ssl, ctypes; print('fine')")
        assert await lab.log("a") == "fine\n"
        assert ended.exit is not None
        assert ended.exit.exit_code == 0


@pytest.mark.usefixtures("sandboxed")
class TestKernel:
    async def test_privileges(self, lab: Lab) -> None:
        """No capability, no way to one, and no sysctl can be written, though the id may be root's."""
        script = (
            "grep -E '^(Cap|NoNewPrivs)' /proc/self/status;"
            "! echo x > /proc/sys/kernel/core_pattern; ! mount -t tmpfs x /mnt; ! chroot /"
        )
        values = dict(
            line.split(":\t") for line in (await output(lab, script)).splitlines() if ":\t" in line
        )
        assert values.pop("NoNewPrivs") == "1"
        assert set(values.values()) == {"0" * 16}

    async def test_processes(self, lab: Lab) -> None:
        """A launch sees only its own processes; the first is the sandbox's init."""
        text = await output(lab, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '; hostname")
        assert "pytest" not in text
        assert "shim" not in text
        assert text.endswith("galerne\n")

    async def test_signals_and_modes_are_ordinary(self, lab: Lab) -> None:
        """No signal is ignored from the start, and new files have the usual mode."""
        text = await output(lab, "umask; grep SigIgn /proc/self/status")
        umask, _, ignored = text.split()
        assert umask == "0022"
        assert int(ignored, 16) & 0x7FFF_FFFF == 0  # The C library keeps two beyond for itself.

    async def test_environment_is_clean(self, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing of the control plane's environment gets in, not even by the init's."""
        monkeypatch.setenv("GALERNE_SECRET", "top secret")
        text = await output(lab, "env; cat /proc/1/environ", env={"MINE": "1"})
        names = {line.partition("=")[0] for line in text.partition("\0")[0].splitlines()}
        assert names - {"PWD", "OLDPWD", "_", "SHLVL"} <= {"PATH", "HOME", "LANG", "TMPDIR", "MINE"}
        assert "top secret" not in text
        assert "MINE=1" in text


@pytest.mark.usefixtures("sandboxed")
class TestNetwork:
    @pytest.fixture
    def listener(self) -> Iterator[int]:
        """Something on the node's loopback."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            yield server.getsockname()[1]

    @pytest.mark.parametrize(
        ("network", "reaches"),
        [(Network.NONE, False), (Network.LOOPBACK, True), (Network.OPEN, True)],
    )
    async def test_loopback(
        self, lab: Lab, listener: int, network: Network, *, reaches: bool
    ) -> None:
        """Without a network not even the node's loopback answers; with one it does."""
        script = (
            "import socket\ntry:\n socket.create_connection(('127.0.0.1', PORT), 3)\n"
            " print('reached')\nexcept OSError: print('refused')"
        ).replace("PORT", str(listener))
        await lab.run("a", PYTHON, "-c", script, network=network)
        assert await lab.log("a") == ("reached\n" if reaches else "refused\n")

    async def test_none_has_only_its_own_loopback(self, lab: Lab) -> None:
        """A launch without a network has no interface but a loopback of its own."""
        text = await output(lab, "cat /proc/net/dev")
        assert [line.split(":")[0].strip() for line in text.splitlines()[2:]] == ["lo"]


class TestPlain:
    """Without bubblewrap and control groups."""

    @pytest.fixture
    async def plain(self, tmp_path: Path, found: Platform) -> AsyncIterator[Lab]:
        tools = Tools(None, "", found.tools.setpriv)
        lab = Lab(tmp_path, platform=Platform(tools=tools, cgroups=None))
        yield lab
        await lab.close()

    async def test_says_so(self, plain: Lab) -> None:
        """The node reports that nothing is isolated and which limits do not hold."""
        (node,) = await plain.driver.nodes()
        assert any("no sandbox" in text for text in node.isolation)
        assert any("no cgroup" in text for text in node.isolation)

    async def test_environment_is_clean(self, plain: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        """The environment is the launch's own also without a sandbox."""
        monkeypatch.setenv("GALERNE_SECRET", "top secret")
        script = "import os, json; print(json.dumps(dict(os.environ)))"
        await plain.run("a", PYTHON, "-c", script, env={"MINE": "1"})
        env = json.loads(await plain.log("a"))
        assert env.keys() - {"LC_CTYPE"} == {"PATH", "HOME", "LANG", "TMPDIR", "MINE"}

    async def test_ends(self, plain: Lab) -> None:
        """Exit codes, a missing program and a stop are told apart, and usage is counted."""
        failed = await plain.run("a", "sh", "-c", "exit 3")
        missing = await plain.run("b", "no-such-program")
        await plain.start(
            "c", "sh", "-c", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.1; done"
        )
        await plain.driver.stop("c", grace_seconds=5)
        stopped = await plain.until("c", Phase.ENDED)
        ends = [o.exit and (o.exit.cause, o.exit.exit_code) for o in (failed, missing, stopped)]
        assert ends == [
            (ExitCause.FAILED, 3),
            (ExitCause.LAUNCH_FAILED, None),
            (ExitCause.STOPPED, 7),
        ]
        assert stopped.usage.memory_peak_bytes > 0

    async def test_shim_killed(self, plain: Lab) -> None:
        """The program dies with its supervisor where setpriv is there to see to it."""
        if plain.driver._platform.tools.setpriv is None:
            pytest.skip("setpriv is not installed")
        await plain.start("a", "sh", "-c", "echo ready; exec sleep 600")
        plain.kill_shim("a")
        ended = await plain.until("a", Phase.ENDED)
        assert ended.exit is not None
        assert ended.exit.cause is ExitCause.INTERRUPTED

    async def test_inputs_are_links(self, plain: Lab, tmp_path: Path) -> None:
        """Without a mount namespace an input is a symbolic link to its source."""
        source = tmp_path / "data"
        source.write_text("data", encoding="ascii")
        assert await output(plain, "cat in", inputs=(Mount(source, "in"),)) == "data"


class TestRefused:
    @pytest.mark.parametrize("handle", ["", "..", "a/b", "-a", ".new-1", "a\n", "a" * 129])
    async def test_handle(self, lab: Lab, handle: str) -> None:
        """A handle that is no safe name is refused, and is ABSENT to every other call."""
        with pytest.raises(LaunchRefused) as refused:
            await lab.driver.submit(replace(lab.launch("ok", "true"), handle=handle))
        assert refused.value.code == "handle_invalid"
        assert (await lab.observe(handle)).phase.value == "absent"
        await lab.driver.stop(handle, grace_seconds=0)
        await lab.driver.forget(handle)
        assert (await lab.driver.read_log(handle, offset=0, bytes_max=1)).complete

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"argv": ()}, "command_empty"),
            ({"argv": ("a\0b",)}, "command_invalid"),
            ({"env": {"A=B": "1"}}, "command_invalid"),
            ({"workspace": Path("/nonexistent/workspace")}, "workspace_missing"),
            ({"workspace": Path("relative")}, "workspace_missing"),
            ({"inputs": (Mount(Path("/nonexistent/data"), "in"),)}, "input_missing"),
            ({"read_only": (Path("/nonexistent/program"),)}, "input_missing"),
            ({"inputs": (Mount(Path("/etc"), "../in"),)}, "input_target_invalid"),
            ({"inputs": (Mount(Path("/etc"), "/in"),)}, "input_target_invalid"),
            ({"inputs": (Mount(Path("/etc"), "."),)}, "input_target_invalid"),
            ({"nodes": ("node-1", "node-2")}, "node_unknown"),
            ({"image": "galerne/none"}, "image_unknown"),
        ],
    )
    async def test_launch(self, lab: Lab, change: dict[str, object], code: str) -> None:
        """What can never run is refused with a code and a hint, and leaves no trace."""
        with pytest.raises(LaunchRefused) as refused:
            await lab.driver.submit(lab.launch("a", "true", **change))
        assert refused.value.code == code
        assert refused.value.hint
        assert lab.handles() == []
