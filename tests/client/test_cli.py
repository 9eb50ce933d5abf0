"""The command as a user meets it: what it prints, where, and the exit code it ends with."""

import importlib.metadata
import json
import os
import signal
import stat
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.client.fake_platform import (
    KEY,
    ConnectionCut,
    FakePlatform,
    Reply,
    deployment_of,
    id_of,
    job_of,
    problem,
)

from galerne_client.cli.exit_codes import MEANINGS, ExitCode
from galerne_client.cli.terminal import plain

Run = Callable[..., Any]
JOB = "type: job\nname: train\ncommands: [python train.py]\n"
ESCAPE = "\x1b"


@pytest.fixture
def workload(tmp_path: Path) -> Path:
    path = tmp_path / "w.yaml"
    path.write_text(JOB)
    return path


class TestApply:
    def test_a_job_is_followed_to_its_end(
        self, run: Run, platform: FakePlatform, workload: Path
    ) -> None:
        """The plan and the states go to standard error, the job's output to standard output."""
        ran = run("apply", "-f", str(workload), "-y")

        assert ran.code == ExitCode.OK
        assert ran.out == "hello\n"
        for expected in (
            "job train in project research",
            "runs now at paris on node-1",
            "0.036 € per hour, at most 0.006 € for 10m 00s",
            "20 Wh per hour, 3.33 Wh in all (estimated)",
            "0.83 gCO₂e per hour",
            "bern   CH       refuses",
            "warning: the price does not include storage",
            "train: running",
            "train: succeeded after 1m 01s",
        ):
            assert expected in ran.err, ran.err
        assert len(platform.posted("/jobs")) == 1

    def test_the_result_alone_is_on_standard_output_as_json(self, run: Run, workload: Path) -> None:
        """With --json a program can read standard output; the job's own goes to standard error."""
        ran = run("apply", "-f", str(workload), "-y", "--json")

        result = json.loads(ran.out)
        assert result["workload"]["state"] == "succeeded"
        assert result["plan"]["placement"]["verdict"] == "placed"
        assert "hello" in ran.err

    def test_a_failed_job_is_a_failed_command(
        self, run: Run, platform: FakePlatform, workload: Path
    ) -> None:
        """The exit code says that the thing failed, and the reason and hint are shown."""
        platform.job_states = deque(["running", "failed"])

        ran = run("apply", "-f", str(workload), "-y")

        assert ran.code == ExitCode.FAILED
        assert "it exited with 3 (exit_code)" in ran.err
        assert "hint: read its log" in ran.err

    def test_a_refused_plan_submits_nothing(
        self, run: Run, platform: FakePlatform, workload: Path
    ) -> None:
        """A label that no site satisfies ends with its own exit code, the reason and a hint."""
        platform.verdict, platform.plan_reason = "refused", "bern is in CH; the label allows FR"

        ran = run("apply", "-f", str(workload), "-y")

        assert ran.code == ExitCode.REFUSED
        assert "refused: bern is in CH; the label allows FR (label_refused)" in ran.err
        assert "hint: choose a site in the label" in ran.err
        assert not platform.posted("/jobs")

    def test_nobody_to_ask_submits_nothing(
        self, run_process: Run, platform: FakePlatform, workload: Path
    ) -> None:
        """Without a terminal and without --yes the command refuses, and says how to go ahead."""
        ran = run_process("apply", "-f", str(workload))

        assert ran.code == ExitCode.USAGE
        assert "confirmation_required" in ran.err
        assert "--yes" in ran.err
        assert not platform.posted("/jobs")

    def test_detached_it_returns_at_once(
        self, run: Run, platform: FakePlatform, workload: Path
    ) -> None:
        """With --detach nothing is followed."""
        ran = run("apply", "-f", str(workload), "-y", "-d")

        assert ran.code == ExitCode.OK
        assert not [each for each in platform.received if each.path.endswith("/logs")]

    def test_plan_only(self, run: Run, platform: FakePlatform, workload: Path) -> None:
        """With --plan nothing is submitted, and nobody is asked."""
        ran = run("apply", "-f", str(workload), "--plan")

        assert ran.code == ExitCode.OK
        assert not platform.posted("/jobs")

    def test_files_are_uploaded_before_they_are_named(
        self, run: Run, platform: FakePlatform, workload: Path
    ) -> None:
        """What `files:` names is sent as blobs, then listed by digest in plan and job."""
        (workload.parent / "train.py").write_text("print()\n")
        workload.write_text(JOB + "files: [train.py]\n")

        run("apply", "-f", str(workload), "-y")

        assert list(platform.blobs.values()) == [b"print()\n"]
        assert platform.received[0].method == "PUT"
        sent = platform.posted("/jobs")[0].json()["files"]
        assert [("train.py", next(iter(platform.blobs)))] == [
            (f["path"], f["sha256"]) for f in sent
        ]

    def test_a_deployment_is_followed_until_it_serves(
        self, run: Run, platform: FakePlatform, workload: Path
    ) -> None:
        """A deployment that is ready ends the command, with what to try next."""
        workload.write_text("type: deployment\nname: chat\nmodel: smollm2\n")

        ran = run("apply", "-f", str(workload), "-y")

        assert ran.code == ExitCode.OK
        assert "chat: running (1 of 1 ready)" in ran.err
        assert "galerne chat chat" in ran.err
        assert len(platform.posted("/deployments")) == 1

    def test_an_unknown_key_is_said_as_the_platform_says_it(self, run: Run, workload: Path) -> None:
        """A validation error of the platform's becomes one line with the field, and usage's code."""
        workload.write_text(JOB + "colour: blue\n")

        ran = run("apply", "-f", str(workload), "-y")

        assert ran.code == ExitCode.USAGE
        expected = "error: colour: Extra inputs are not permitted (invalid_request)"
        assert expected in ran.err
        assert "hint: this key is not known" in ran.err

    def test_a_yaml_bomb_is_one_line(self, run: Run, workload: Path) -> None:
        """Hostile YAML ends in an error and a hint, not in a traceback."""
        workload.write_text("a: &a [1]\nb: [*a, *a]\n")

        ran = run("apply", "-f", str(workload), "-y")

        assert ran.code == ExitCode.USAGE
        assert "w.yaml:2:5: an alias (*name) is not accepted" in ran.err
        assert "(yaml_alias_refused)" in ran.err

    def test_control_sequences_do_not_reach_the_screen(
        self, run: Run, platform: FakePlatform, workload: Path
    ) -> None:
        """What the platform passes on cannot move the cursor or retitle the window."""
        platform.plan_reason = f"{ESCAPE}]0;owned\x07{ESCAPE}[2Jfine"

        ran = run("apply", "-f", str(workload), "--plan")

        assert ESCAPE not in ran.err
        assert ": fine" in ran.err


class TestLooking:
    def test_ps_lists_both_kinds(self, run: Run, platform: FakePlatform) -> None:
        """Jobs and deployments are in one table that fits 100 columns, without styling in a pipe."""
        platform.jobs = {job_of(1).id: job_of(1, state="running")}
        platform.deployments = {deployment_of(1, name="chat").id: deployment_of(1, name="chat")}

        ran = run("ps")

        assert ran.code == ExitCode.OK
        assert "train" in ran.out
        assert "running 1/1" in ran.out
        assert ESCAPE not in ran.out
        assert max(len(line) for line in ran.out.splitlines()) <= 100

    def test_ended_ones_are_asked_for(self, run: Run, platform: FakePlatform) -> None:
        """Without --all only what has not ended is listed, and the rest is pointed to."""
        platform.jobs = {job_of(1).id: job_of(1, state="failed")}

        assert "galerne ps -a" in run("ps").out
        assert "train" in run("ps", "-a").out

    def test_quiet_lists_ids(self, run: Run, platform: FakePlatform) -> None:
        """With --quiet each line is an id, for a shell's loop."""
        platform.jobs = {job_of(1).id: job_of(1, state="running")}

        assert run("ps", "-q").out == id_of("job", 1) + "\n"

    @pytest.mark.parametrize(
        "command",
        [
            ("ps", "-a"),
            ("nodes",),
            ("sites",),
            ("events",),
            ("datasets", "list"),
            ("usage",),
            ("prices",),
            ("whoami",),
            ("fleet", "show"),
            ("config", "show"),
            ("version",),
        ],
    )
    def test_every_listing_can_be_read_by_a_program(
        self, run: Run, command: tuple[str, ...]
    ) -> None:
        """With --json standard output is one JSON document and nothing else."""
        ran = run(*command, "--json")

        assert ran.code == ExitCode.OK
        json.loads(ran.out)
        assert ran.err == ""

    def test_a_workload_is_found_by_name(self, run: Run, platform: FakePlatform) -> None:
        """The newest of the name that has not ended is meant, else the newest."""
        platform.jobs = {
            job.id: job for job in (job_of(1, state="running"), job_of(2, state="failed"))
        }
        ended = {"ended_at": platform.jobs[id_of("job", 2)].created_at}
        platform.jobs[id_of("job", 2)] = platform.jobs[id_of("job", 2)].model_copy(update=ended)

        described = json.loads(run("describe", "train", "--json").out)

        assert described["id"] == id_of("job", 1)

    def test_what_is_not_there_has_its_own_exit_code(self, run: Run) -> None:
        """An unknown name is not found, with a hint where to look."""
        ran = run("describe", "nothing")

        assert ran.code == ExitCode.NOT_FOUND
        assert "workload_not_found" in ran.err
        assert "galerne ps -a" in ran.err

    def test_why_says_why_and_what_would_change_it(self, run: Run, platform: FakePlatform) -> None:
        """The reason, its hint and the facts it rests on are shown."""
        platform.jobs = {job_of(1).id: job_of(1)}

        ran = run("why", "train")

        assert "no room (no_capacity)" in ran.out
        assert "hint: wait" in ran.out

    def test_logs_are_passed_on_as_they_are(self, run: Run, platform: FakePlatform) -> None:
        """`logs` writes what there is, in several reads, and nothing else to standard output."""
        job = job_of(1, state="succeeded").model_copy(update={"attempt": 1})
        platform.jobs = {job.id: job}
        platform.job_states = deque(["succeeded"])
        platform.log, platform.log_piece_bytes = "début\nfin sans saut".encode(), 7

        assert run("logs", "train").out == "début\nfin sans saut\n"

    def test_stop_asks_once(self, run: Run, platform: FakePlatform) -> None:
        """`stop` wants it stopped, and says what the state is now."""
        platform.jobs = {job_of(1).id: job_of(1, state="running")}

        assert run("stop", "train").code == ExitCode.OK
        assert len(platform.posted(f"/jobs/{id_of('job', 1)}/stop")) == 1

    def test_usage_names_workloads_and_methods(self, run: Run, platform: FakePlatform) -> None:
        """The table has euro, energy with its method, and carbon with its source."""
        platform.jobs = {job_of(1).id: job_of(1, state="succeeded")}

        ran = run("usage")

        assert "train" in ran.out
        for expected in ("0.00422 €", "0.42 Wh (estimated)", "17.3 mgCO₂e", "1m 01s"):
            assert expected in ran.out
        assert "carbon: FRA 2024" in ran.err
        assert max(len(line) for line in ran.out.splitlines()) <= 100


class TestDatasets:
    def test_the_description_file_gives_the_defaults(
        self, run: Run, platform: FakePlatform, tmp_path: Path
    ) -> None:
        """dataset.json names the dataset; what is said on the command line goes before it."""
        data = tmp_path / "prose"
        data.mkdir()
        (data / "fr.txt").write_text("bonjour\n")
        (data / "dataset.json").write_text(json.dumps({"name": "prose", "licence": "CC0-1.0"}))

        ran = run("datasets", "push", str(data), "--licence", "CC-BY-4.0", "--label", "FR,DE")

        assert ran.code == ExitCode.OK
        body = platform.posted("/datasets")[0].json()
        assert (body["name"], body["licence"]) == ("prose", "CC-BY-4.0")
        assert body["label"] == {"residency": ["FR", "DE"]}
        assert "prose:1" in ran.out

    def test_a_licence_must_be_known(self, run: Run, tmp_path: Path) -> None:
        """Data without a stated licence is not taken."""
        ran = run("datasets", "push", str(tmp_path), "--name", "x")

        assert ran.code == ExitCode.USAGE
        assert "licence" in ran.err


class TestProof:
    def test_a_bundle_is_written_and_checked(
        self, run: Run, platform: FakePlatform, tmp_path: Path
    ) -> None:
        """`show -o` writes the bundle; `verify` fails what does not hold, naming the check."""
        platform.jobs = {job_of(1).id: job_of(1)}
        path = tmp_path / "proof.json"

        assert run("proof", "show", "train", "-o", str(path)).code == ExitCode.OK
        assert platform.bundle == json.loads(path.read_text())
        before = len(platform.received)
        ran = run("proof", "verify", str(path))

        assert ran.code == ExitCode.FAILED
        assert "FAILED" in ran.out
        assert "not proven" in ran.out
        assert before == len(platform.received), "verification asks nobody"

    def test_a_file_that_is_none_is_refused(self, run: Run, tmp_path: Path) -> None:
        """A file that is not JSON is a usage error."""
        path = tmp_path / "proof.json"
        path.write_text("no")

        ran = run("proof", "verify", str(path))

        assert ran.code == ExitCode.USAGE
        assert "bundle_invalid" in ran.err


class TestErrors:
    @pytest.mark.parametrize(
        ("fault", "code"),
        [
            (problem(401, "unauthenticated", "no"), ExitCode.AUTH),
            (problem(403, "scope_missing", "no"), ExitCode.AUTH),
            (problem(403, "label_refused", "no"), ExitCode.REFUSED),
            (problem(404, "not_found", "no"), ExitCode.NOT_FOUND),
            (problem(409, "job_ended", "no"), ExitCode.FAILED),
            (problem(422, "impossible_resources", "no"), ExitCode.REFUSED),
            (problem(422, "invalid_request", "no"), ExitCode.USAGE),
        ],
    )
    def test_each_refusal_has_its_exit_code(
        self, run: Run, platform: FakePlatform, fault: Reply, code: ExitCode
    ) -> None:
        """An error of the API is one line on standard error, and an exit code that a script knows."""
        platform.faults.append(fault)

        ran = run("whoami")

        assert code == ran.code
        assert ran.err.startswith("error: no (")
        assert ran.out == ""

    def test_an_unreachable_platform(self, run_process: Run) -> None:
        """A refused connection ends as unavailable, without a traceback."""
        ran = run_process("whoami", GALERNE_URL="http://127.0.0.1:9", GALERNE_API_KEY=KEY)

        assert ran.code == ExitCode.UNAVAILABLE
        assert "connection_failed" in ran.err
        assert "Traceback" not in ran.err

    def test_nothing_configured(self, run_process: Run) -> None:
        """Without a platform the first command says how to get one."""
        ran = run_process("ps", GALERNE_URL="", GALERNE_API_KEY="")

        assert ran.code == ExitCode.USAGE
        assert "galerne login" in ran.err

    @pytest.mark.parametrize("arguments", [("nope",), ("ps", "--nope"), ("describe",)])
    def test_a_mistyped_command(self, run_process: Run, arguments: tuple[str, ...]) -> None:
        """What the parser refuses is a usage error with a way to help."""
        ran = run_process(*arguments)

        assert ran.code == ExitCode.USAGE
        assert ran.err.startswith("error: ")
        assert "--help" in ran.err
        assert "Traceback" not in ran.err

    def test_every_exit_code_is_documented(self, run: Run) -> None:
        """Each code has a meaning, and --help names them all."""
        assert set(MEANINGS) == set(ExitCode)
        shown = " ".join(run("--help").out.split())
        for code in ExitCode:
            assert f"{code.value} {code.name.lower().replace('_', ' ')}" in shown

    def test_a_lost_connection_is_tried_again(self, run: Run, platform: FakePlatform) -> None:
        """A cut that passes is not noticed."""
        platform.faults.append(ConnectionCut())

        assert run("whoami").code == ExitCode.OK


class TestOutput:
    def test_no_color_means_none(self, run_process: Run, platform: FakePlatform) -> None:
        """NO_COLOR wins over a forced terminal: no escape sequence is written at all."""
        platform.jobs = {job_of(1).id: job_of(1, state="running")}

        styled = run_process("ps", FORCE_COLOR="1")
        unstyled = run_process("ps", FORCE_COLOR="1", NO_COLOR="1")

        assert ESCAPE in styled.out
        assert ESCAPE not in unstyled.out
        assert "running" in unstyled.out

    def test_an_interrupt_is_no_traceback(
        self, platform: FakePlatform, environment: dict[str, str]
    ) -> None:
        """Ctrl-C while following ends with its own exit code, and says that the job goes on."""
        platform.jobs = {job_of(1).id: job_of(1, state="running")}
        platform.job_states = deque(["running"])
        platform.log_piece_bytes = 0
        process = subprocess.Popen(
            [sys.executable, "-m", "galerne_client.cli.main", "logs", "-f", "train"],
            env={"PATH": os.environ["PATH"], **environment},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        for line in process.stderr:
            if "running" in line:
                break
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        process.stderr.close()

        assert process.wait(timeout=30) == ExitCode.INTERRUPTED
        assert "goes on" in rest
        assert "Traceback" not in rest

    def test_text_from_elsewhere_is_not_markup(self) -> None:
        """A name cannot style what is around it."""
        assert plain("[red]x") == r"\[red]x"
        assert plain(f"{ESCAPE}[31mred{ESCAPE}[0m") == "red"


class TestTenancy:
    def test_a_secret_is_shown_once_and_alone(self, run: Run) -> None:
        """A new key's secret is all of standard output, so that it can be piped."""
        ran = run("keys", "create", "ci")

        assert ran.out == KEY + "\n"
        assert "this once" in ran.err

    def test_a_secret_that_was_lost_is_said_to_be(self, run: Run, platform: FakePlatform) -> None:
        """When only a repeated answer came, which has no secret, the key is to be revoked."""
        original = platform.routes["POST /api-keys"]

        def repeated(received: Any) -> Reply:
            body = {**json.loads(original(received).body), "secret": None}
            return Reply(201, json.dumps(body).encode())

        platform.routes["POST /api-keys"] = repeated

        ran = run("keys", "create", "ci")

        assert ran.code == ExitCode.FAILED
        assert "secret_lost" in ran.err


class TestConfigure:
    def test_login_checks_and_stores(
        self, run_process: Run, environment: dict[str, str], tmp_path: Path
    ) -> None:
        """A key that works is stored with its address, for the user's eyes only, and then used."""
        url = environment["GALERNE_URL"]
        none = {"GALERNE_URL": "", "GALERNE_API_KEY": ""}

        ran = run_process("login", url, "--context", "test", stdin=f"{KEY}\n", **none)

        assert ran.code == ExitCode.OK
        assert KEY not in ran.out + ran.err
        path = tmp_path / "home" / ".config" / "galerne" / "config.toml"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert "Institut Exemple" in run_process("whoami", **none).out
        assert KEY not in run_process("config", "show", **none).out

    def test_a_key_that_does_not_work_is_not_stored(
        self, run_process: Run, environment: dict[str, str], tmp_path: Path
    ) -> None:
        """A refused key ends as such, and nothing is written."""
        ran = run_process("login", environment["GALERNE_URL"], stdin="gal_wrong\n")

        assert ran.code == ExitCode.AUTH
        assert not (tmp_path / "home" / ".config").exists()

    def test_contexts_are_used_and_forgotten(self, run: Run, environment: dict[str, str]) -> None:
        """`config use` and `config remove` work on what is stored, and refuse what is not."""
        del environment
        assert run("config", "use", "none").code == ExitCode.NOT_FOUND
        assert run("config", "remove", "none").code == ExitCode.NOT_FOUND


class TestServerCommands:
    def test_they_are_handed_over(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """A command of the server's gets the rest of the line, and its exit code is ours."""
        seen: list[list[str]] = []

        def started(argv: list[str]) -> int:
            seen.append(argv)
            return 7

        entry = SimpleNamespace(load=lambda: started)
        monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: [entry])

        assert run("up", "--data-dir", "x", "--json").code == 7
        assert seen == [["--data-dir", "x", "--json"]]

    def test_without_the_server_they_say_how_to_get_it(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The client alone names the package that is missing."""
        monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: [])

        ran = run("up")

        assert ran.code == ExitCode.USAGE
        assert "install galerne to run this" in ran.err
