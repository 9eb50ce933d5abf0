"""The distribution as a whole: what it imports, how fast it starts, and that what is generated is current."""

import ast
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import galerne_client

ROOT = Path(__file__).parents[2]
SOURCE = Path(galerne_client.__file__).parent
SCRIPTS = ROOT / "scripts"
HELP_CPU_SECONDS_MAX = 1.5  # About 0.3 on an idle machine; the bound only catches a lost laziness.
MODULES = sorted(SOURCE.rglob("*.py"))


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
        elif isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_the_client_imports_nothing_of_the_server(path: Path) -> None:
    """The client can be installed and read alone."""
    assert "galerne" not in imported(path)


def loaded_by(code: str) -> set[str]:
    """Return the modules that are loaded after running `code` in a fresh interpreter."""
    script = f"{code}\nimport sys, json; sys.stderr.write(json.dumps(sorted(sys.modules)))"
    ran = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(json.loads(ran.stderr))


def test_help_loads_no_command_and_no_sdk() -> None:
    """`galerne --help` is fast because it imports neither pydantic nor the HTTP client."""
    modules = loaded_by("from galerne_client.cli.main import main; main(['--help'])")

    assert not modules & {"pydantic", "httpx2", "yaml", "cryptography", "galerne_client.client"}
    assert not {name for name in modules if name.startswith("galerne_client.cli.commands.")}


def test_a_server_command_loads_no_parser() -> None:
    """Handing over to the server costs nothing of ours."""
    code = "from galerne_client.cli import main, server_commands\n"
    code += "main.run_server_command = lambda name, argv: 0\nmain.main(['up'])"

    assert not loaded_by(code) & {"cyclopts", "rich", "pydantic", "httpx2"}


def test_help_takes_little_processor_time() -> None:
    """The bound is generous, for busy machines; it is about losing lazy imports."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "galerne_client.cli.main", "--help"],
        stdout=subprocess.DEVNULL,
        env={**os.environ, "NO_COLOR": "1"},
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)

    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert used < HELP_CPU_SECONDS_MAX


def check(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own script
        [sys.executable, str(SCRIPTS / script), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(not (ROOT / "openapi.json").exists(), reason="openapi.json is not written yet")
def test_the_models_are_current() -> None:
    """Generating the models again from openapi.json gives the same bytes."""
    assert check("generate_client_models.py").returncode == 0, "run the script without --check"


def test_the_command_reference_is_current() -> None:
    """Generating the reference again from the commands gives the same bytes."""
    assert check("generate_cli_reference.py").returncode == 0, "run the script without --check"


def test_public_names_are_there() -> None:
    """What the package says it exports can be imported, and nothing else pretends to be there."""
    for name in galerne_client.__all__:
        assert getattr(galerne_client, name) is not None
    with pytest.raises(AttributeError):
        _ = galerne_client.nothing
