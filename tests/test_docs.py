"""The documentation says what is there: pages are current, links lead somewhere, examples are valid."""

import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import yaml
from pydantic import TypeAdapter
from scripts import generate, generate_reference
from tests import postgres
from tests.postgres import PostgresServer

from galerne.compute.jobs.schemas import JobSpec
from galerne.compute.nodes.fleets.schemas import FleetFile
from galerne.config import load_settings
from galerne.events.kinds import KINDS, describe
from galerne.inference.deployments.schemas import DeploymentSpec
from galerne_client.cli.app import NESTED, TOP, build_app
from galerne_client.cli.server_commands import SERVER_COMMANDS

ROOT = generate.ROOT
DOCS = ROOT / "docs"
FENCE = re.compile(r"^ *```(?P<language>\w*)\n(?P<body>.*?)^ *```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|mailto:)(?P<target>[^)#\s]*)(?:#(?P<anchor>[^)\s]*))?\)")
WORKLOADS: dict[str, type[JobSpec | DeploymentSpec]] = {
    "job": JobSpec,
    "deployment": DeploymentSpec,
}


def markdown() -> list[Path]:
    """Return every page that is ours."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return sorted(ROOT / name for name in listed.splitlines() if (ROOT / name).exists())


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def reference(page: str) -> str:
    return (DOCS / "reference" / page).read_text(encoding="utf-8")


def blocks(language: str) -> Iterator[tuple[str, str]]:
    """Yield every block of a language, with the page that it stands on."""
    for path in markdown():
        for match in FENCE.finditer(path.read_text(encoding="utf-8")):
            if match["language"] == language:
                yield name_of(path), match["body"]


class TestReference:
    """What is generated."""

    def test_it_is_current(self) -> None:
        """`make docs` would change nothing."""
        stale = [
            name_of(path)
            for path, text in generate.outputs().items()
            if not path.exists() or path.read_text(encoding="utf-8") != text
        ]
        assert stale == [], "run `make docs`"

    def test_every_setting_is_explained(self) -> None:
        """Each setting stands in the reference with its variable and says what it is for."""
        page = reference("settings.md")
        for setting in generate_reference.settings():
            assert f"`{setting.key}` | `{setting.variable}`" in page
            assert setting.field.description, f"{setting.key} has no description"

    def test_no_setting_is_for_nothing(self) -> None:
        """Each setting is read somewhere: one that is not would promise what nobody keeps."""
        sources = [
            path.read_text(encoding="utf-8") for path in (ROOT / "src" / "galerne").rglob("*.py")
        ]
        for setting in generate_reference.settings():
            read = re.compile(rf"\.{setting.path[-1]}\b")
            assert any(map(read.search, sources)), f"{setting.key} is never read"

    def test_every_error_code_is_explained(self) -> None:
        """Each code of an error class stands in the reference with a sentence of its own."""
        page = reference("errors.md")
        for error in generate_reference.error_classes():
            assert f"| `{error.code}` | {error.status} |" in page
            assert error.__doc__, f"{error.__name__} does not say what it means"

    def test_every_code_that_is_given_on_the_spot_is_listed(self) -> None:
        """A code that is written where an error or reason is made stands in the reference too."""
        page = reference("errors.md")
        given = re.compile(r"\bcode=\"([a-z_]+)\"")
        sources = (ROOT / "src" / "galerne").rglob("*.py")
        codes = {
            code for path in sources for code in given.findall(path.read_text(encoding="utf-8"))
        }
        assert {code for code in codes if f"| `{code}` |" not in page} == set()

    def test_no_explanation_is_empty(self) -> None:
        """No row of the errors' tables says nothing."""
        empty = re.compile(r"^\|.*\|\s*…?\s*\|$", re.MULTILINE)
        assert empty.findall(reference("errors.md")) == []

    def test_every_kind_of_event_is_explained(self) -> None:
        """Each kind stands in the reference, and each that the code emits has a meaning."""
        page = reference("events.md")
        assert [kind for kind in KINDS if f"| `{kind}` |" not in page] == []
        # Where the verb is filled in, the noun has a line of its own.
        assert [kind for kind in emitted() if not meant_by(kind)] == []

    def test_no_kind_of_event_is_made_up(self) -> None:
        """Each kind in the reference is one that the code emits."""
        possible = emitted() | {
            f"{each.noun}.{state.value}"
            for each in generate_reference.lifecycles()
            for state in each.states
        }
        meant = {kind for each in possible for kind in meant_by(each)}
        assert KINDS.keys() - meant == set()

    def test_every_state_is_drawn(self) -> None:
        """Each state table has a diagram that shows every step, and each step is a known event."""
        page = reference("states.md")
        for lifecycle in generate_reference.lifecycles():
            for (before, verb), after in lifecycle.transitions.items():
                assert f"{before.value} --> {after.value}: {verb}\n" in page
                assert describe(f"{lifecycle.noun}.{after.value}") is not None

    def test_every_command_is_explained(self) -> None:
        """Each command of the client and of the server stands in the reference."""
        page = reference("cli.md")
        names = [name for entries in TOP.values() for name, _, _ in entries]
        names += [f"{parent} {name}" for _, parent, _, entries in NESTED for name, _, _ in entries]
        assert [name for name in names if f"### `galerne {name}`" not in page] == []
        assert [name for name in SERVER_COMMANDS if f"| `galerne {name}` |" not in page] == []

    def test_every_operation_is_listed(self) -> None:
        """Each call of the API stands in the overview."""
        page = reference("api.md")
        for path, operations in generate.document()["paths"].items():
            for method in operations:
                assert f"`{method.upper()} {path}`" in page


def emitted() -> set[str]:
    """Return the kinds that are written at a call of `emit`; `noun.{verb}` where the verb is filled in."""
    call = re.compile(r"emit\(\s*[\w.]+,\s*f?\"([a-z_]+\.[a-z_{}]+)\"")
    sources = (ROOT / "src" / "galerne").rglob("*.py")
    return {kind for path in sources for kind in call.findall(path.read_text(encoding="utf-8"))}


def meant_by(kind: str) -> list[str]:
    """Return the lines of the reference that explain a kind."""
    noun = kind.partition(".")[0]
    if "{" in kind:
        return [known for known in KINDS if known.startswith(f"{noun}.")]
    return [known for known in (kind, f"{noun}.*") if known in KINDS]


@pytest.mark.parametrize("path", markdown(), ids=name_of)
def test_links_lead_somewhere(path: Path) -> None:
    """Every relative link of a page leads to a file, and to a heading of it where it names one."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    for match in LINK.finditer(text):
        target = (path.parent / match["target"]).resolve() if match["target"] else path
        assert target.exists(), f"{match['target']} does not exist"
        if match["anchor"]:
            assert match["anchor"] in anchors(target)


def anchors(path: Path) -> set[str]:
    """Return the headings of a page as links name them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_index_names_every_page() -> None:
    """Whoever begins at docs/README.md, or at the decisions' index, finds every page."""
    for index in (DOCS / "README.md", DOCS / "decisions" / "README.md"):
        text = index.read_text(encoding="utf-8")
        found = {(index.parent / m["target"]).resolve() for m in LINK.finditer(text)}
        pages = set(index.parent.rglob("*.md")) - {index}
        if index.parent == DOCS:
            pages = {page for page in pages if page.parent.name != "decisions"}
        assert pages - found == set()


class TestExamples:
    """What readers will copy."""

    @pytest.mark.parametrize(
        "path",
        sorted((ROOT / "examples").rglob("*.yaml")),
        ids=name_of,
    )
    def test_an_example_file_is_valid(self, path: Path) -> None:
        """Each workload and fleet file among the examples is one that the API takes."""
        check(yaml.safe_load(path.read_text(encoding="utf-8")))

    def test_what_pages_show_is_valid(self) -> None:
        """Each block of YAML in a page is one that the API takes."""
        shown = list(blocks("yaml"))
        assert len(shown) >= 3
        for _, body in shown:
            check(yaml.safe_load(body))

    def test_make_has_the_targets_that_pages_name(self) -> None:
        """Each `make …` in a page, first the two of the README, is a target of the Makefile."""
        targets = set(
            re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
        )
        named = {
            match
            for path in markdown()
            for match in re.findall(r"(?:`|\$ )make ([a-z]+)", path.read_text(encoding="utf-8"))
        }
        assert {"demo", "test"} <= named <= targets

    @pytest.mark.parametrize("page", ["docs/guides/getting-started.md", "docs/guides/operate.md"])
    def test_a_guides_commands_exist(self, page: str) -> None:
        """Each `galerne …` line of a guide parses as the command would parse it."""
        found = [body for where, body in blocks("console") if where == page]
        lines = [line for body in found for line in galerne_lines(body)]
        assert lines
        for line in lines:
            parse(line)

    def test_the_readmes_commands_exist(self) -> None:
        """Each `galerne …` line of the README parses as well."""
        for where, body in blocks("console"):
            if where == "README.md":
                for line in galerne_lines(body):
                    parse(line)

    @pytest.mark.parametrize("page", ["docs/guides/getting-started.md"])
    def test_files_that_a_guide_names_exist(self, page: str) -> None:
        """Each example that a guide names is there."""
        named = re.findall(r"examples/[\w./-]*\w", (ROOT / page).read_text(encoding="utf-8"))
        assert named
        assert [name for name in named if not (ROOT / name).exists()] == []


def check(content: Any) -> None:
    """Read a workload or fleet file as the API does. Raises what pydantic raises."""
    if "type" in content:
        TypeAdapter(WORKLOADS[content["type"]]).validate_python(content)
    else:
        FleetFile.model_validate(content)


def galerne_lines(body: str) -> Iterator[list[str]]:
    """Yield the arguments of each `galerne` in a console block."""
    joined = body.replace("\\\n", " ")
    for line in joined.splitlines():
        for part in re.split(r"\$\(|\)$|&&|\|", line):
            words = shlex.split(part.strip().lstrip("$#").partition(" # ")[0])
            if words[:3] == ["sudo", "-E", "-u"]:
                words = words[4:]
            if words and Path(words[0]).name == "galerne":
                yield words[1:]


def parse(arguments: list[str]) -> None:
    """Parse a command line without running it. Fails on an unknown command or option."""
    if arguments[0] in SERVER_COMMANDS or arguments == ["--help"]:
        return
    build_app().parse_args(arguments, exit_on_error=False, print_error=False)


class TestDeployment:
    """The files for an installation."""

    def test_the_settings_load(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The example of a settings file has no key that is not one."""
        monkeypatch.delenv("GALERNE_DATA_DIR", raising=False)
        path = ROOT / "deploy" / "galerne.toml"
        settings = load_settings(path)
        assert settings.site.country == tomllib.loads(path.read_text("utf-8"))["site"]["country"]

    @pytest.mark.parametrize("name", ["api", "gateway", "worker"])
    def test_a_unit_starts_its_process(self, name: str) -> None:
        """Each unit runs a process that exists, as an ordinary user, on the settings' data directory."""
        unit = RawConfigParser(strict=False)
        unit.read(ROOT / "deploy" / "systemd" / f"galerne-{name}.service", encoding="utf-8")
        service = unit["Service"]
        assert name in SERVER_COMMANDS
        assert (
            f"/opt/galerne/bin/galerne {name} --config /etc/galerne/galerne.toml"
            in service["execstart"]
        )
        assert service["user"] == "galerne"
        data_dir = load_settings(ROOT / "deploy" / "galerne.toml").data_dir
        assert data_dir == Path("/var/lib") / service["statedirectory"]

    def test_workloads_outlive_the_workers_unit(self) -> None:
        """Stopping the worker's unit kills the worker alone."""
        unit = RawConfigParser(strict=False)
        unit.read(ROOT / "deploy" / "systemd" / "galerne-worker.service", encoding="utf-8")
        assert unit["Service"]["killmode"] == "process"

    async def test_the_role_is_bound_by_row_level_security(
        self, postgres_server: PostgresServer
    ) -> None:
        """The script makes, twice over, a role that is no superuser and owns its database."""
        for _ in range(2):
            run_psql(postgres_server, ROOT / "deploy" / "postgresql.sql")
        admin = await asyncpg.connect(
            host="127.0.0.1", port=postgres_server.port, user="postgres", database="postgres"
        )
        row = await admin.fetchrow(
            "SELECT rolcanlogin, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = 'shop'"
        )
        owner = await admin.fetchval(
            "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'shop'"
        )
        assert tuple(row or ()) == (True, False, False)
        assert owner == "shop"
        await admin.execute("DROP DATABASE shop")
        await admin.execute("DROP ROLE shop")
        await admin.close()


def run_psql(server: PostgresServer, script: Path) -> None:
    subprocess.run(  # noqa: S603 - a fixed program with our own script
        [
            str(postgres.BINARIES / "psql"),
            *("--host=127.0.0.1", f"--port={server.port}", "--username=postgres", "--quiet"),
            *("-v", "ON_ERROR_STOP=1", "-v", "role=shop", "-v", "database=shop"),
            *("--file", str(script), "postgres"),
        ],
        check=True,
        capture_output=True,
    )
