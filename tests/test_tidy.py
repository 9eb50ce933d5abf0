"""Properties of the code itself that ruff, mypy and import-linter do not check."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src"
CLIENT = ROOT / "client" / "src"
STATE_WRITER = "events/transition.py"
# The session commits when its block ends without an error; nothing else ends a transaction.
COMMIT_ALLOWED = {"db/session.py"}
MODULE_LINES = 500
FUNCTION_LINES = 40
FORBIDDEN_NAMES = {"utils.py", "helpers.py", "common.py", "misc.py"}


def modules() -> list[Path]:
    found = [*SRC.rglob("*.py"), *CLIENT.rglob("*.py")]
    return sorted(path for path in found if "versions" not in path.parts)


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def inside(path: Path, allowed: set[str]) -> bool:
    return any(path.as_posix().endswith(suffix) for suffix in allowed)


def commits(path: Path, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="commit", value=owner)):
                if ast.unparse(owner) in {"self", "self._journal"} or inside(path, COMMIT_ALLOWED):
                    continue  # The gateway's journal is a file: its commit is an fsync.
                yield f"line {node.lineno}: commit() belongs to the edge of the request or pass"


def state_writes(path: Path, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Attribute(attr="state", value=ast.Name(id=name))]):
                if name not in {"self", "app"} and not inside(path, {STATE_WRITER}):
                    yield f"line {node.lineno}: only {STATE_WRITER} writes a lifecycle state"


def foreign_repositories(path: Path, tree: ast.Module) -> Iterator[str]:
    if not path.is_relative_to(SRC):
        return
    own = ".".join(path.relative_to(SRC).with_suffix("").parts[:-1])
    for name in imported(tree):
        owner, found, _ = name.partition(".repository")
        if found and ".db." not in name and not own.startswith(owner):
            yield f"imports {name}: a repository is private to its folder; call its service"


def function_lines(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield (node.end_lineno or node.lineno) - node.lineno + 1


@pytest.mark.parametrize("path", modules(), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_a_module_keeps_the_house_rules(path: Path) -> None:
    """Commits at the edge, states by one writer, private repositories, honest names."""
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)

    found = [
        *commits(path, tree),
        *state_writes(path, tree),
        *foreign_repositories(path, tree),
    ]

    assert not found, "\n".join(found)
    assert path.name not in FORBIDDEN_NAMES


def test_modules_and_functions_stay_modest() -> None:
    """Nine modules in ten have at most 500 lines, and nineteen functions in twenty at most 40."""
    sources = [path.read_text(encoding="utf-8") for path in modules()]
    modest = [source.count("\n") <= MODULE_LINES for source in sources]
    short = [
        lines <= FUNCTION_LINES for source in sources for lines in function_lines(ast.parse(source))
    ]

    assert sum(modest) >= 0.9 * len(modest)
    assert sum(short) >= 0.95 * len(short)


def files_with_tests() -> list[Path]:
    return sorted((ROOT / "tests").rglob("test_*.py"))


@pytest.mark.parametrize("path", files_with_tests(), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_test_states_its_claim(path: Path) -> None:
    """A test without a docstring does not say what is broken when it fails."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    silent = [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.name.startswith("test_")
        and ast.get_docstring(node) is None
    ]

    assert silent == []


def declared(path: Path) -> set[str]:
    project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    optional = project.get("optional-dependencies", {})
    lines = [*project["dependencies"], *(line for group in optional.values() for line in group)]
    return {line.split(">")[0].split("[")[0].strip() for line in lines}


def test_the_locked_runtime_is_what_the_packages_declare() -> None:
    """Nobody installs more, or less, than the two pyproject.toml files say."""
    lines = (ROOT / "requirements" / "runtime.in").read_text(encoding="utf-8").splitlines()
    locked = {line.split("[")[0].strip() for line in lines if line and not line.startswith("#")}

    expected = declared(ROOT / "pyproject.toml") | declared(ROOT / "client" / "pyproject.toml")

    assert locked == expected - {"galerne-client"}


@pytest.mark.parametrize("name", ["runtime", "demo", "dev", "model"])
def test_a_lock_file_names_no_index(name: str) -> None:
    """Lock files hold names, versions and hashes: where packages come from is the installer's choice."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")

    lines = [line for line in text.splitlines() if not line.strip().startswith("#")]
    assert not [line for line in lines if "://" in line or "--index" in line or "--find" in line]
    assert "--hash=sha256:" in text
