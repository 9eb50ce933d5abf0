# ruff: noqa: INP001 - a script is run, not imported
"""Build both wheels from a clean copy, look into them, and import what they install.

Nothing of the tree is touched, so this may run beside anything. Says what is missing or does not belong.
"""

import importlib.metadata
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"galerne": ROOT, "galerne_client": ROOT / "client"}
# What is data at run time; a file of another kind is for those who work on the package.
DATA = {".yaml", ".txt", ".md", ".typed"}
COPIED = ("pyproject.toml", "README.md", "LICENSE", "src")
STRANGERS = ("tests/", "bench/", "examples/", "docs/", "scripts/")
SETUPTOOLS_MIN = 77
IMPORTS = """
import importlib.metadata, pathlib, sys
target = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(target))
import galerne, galerne_client
for module, name in ((galerne, "galerne"), (galerne_client, "galerne-client")):
    assert pathlib.Path(module.__file__).is_relative_to(target), module.__file__
    assert importlib.metadata.version(name) == module.__version__, name
"""


def build(package: str, folder: Path) -> Path:
    """Build the wheel of `package` from a copy of its sources."""
    source = folder / package
    source.mkdir()
    for name in COPIED:
        original = PACKAGES[package] / name
        if original.is_dir():
            ignored = shutil.ignore_patterns("*.egg-info", "__pycache__")
            shutil.copytree(original, source / name, ignore=ignored)
        elif original.exists():
            shutil.copy(original, source / name)
    wheels = folder / "wheels"
    run("-m", "build", "--wheel", *isolation(), "--outdir", str(wheels), str(source))
    return next(wheels.glob(f"{package}-*.whl"))


def isolation() -> list[str]:
    """Build with what is installed here where that is new enough: it saves a download."""
    installed = importlib.metadata.version("setuptools").partition(".")[0]
    return ["--no-isolation"] if int(installed) >= SETUPTOOLS_MIN else []


def problems(package: str, wheel: Path) -> Iterator[str]:
    """Say what the wheel lacks, and what it should not hold."""
    sources = PACKAGES[package] / "src"
    with ZipFile(wheel) as archive:
        held = set(archive.namelist())
        metadata = next(name for name in held if name.endswith(".dist-info/METADATA"))
        stated = archive.read(metadata).decode()
    for path in sorted((sources / package).rglob("*")):
        if path.suffix in DATA | {".py"} and str(path.relative_to(sources)) not in held:
            yield f"lacks {path.relative_to(sources)}"
    for name in sorted(held):
        if name.startswith(STRANGERS) or not name.startswith((f"{package}/", f"{package}-")):
            yield f"holds {name}, which is not its own"
    project = tomllib.loads((PACKAGES[package] / "pyproject.toml").read_text("utf-8"))["project"]
    for need in project["dependencies"]:
        if f"Requires-Dist: {need}" not in stated.splitlines():
            yield f"does not state that it needs {need}"


def run(*arguments: str) -> None:
    """Run this Python; show what it said only if it fails."""
    command = [sys.executable, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if done.returncode:
        sys.stderr.write(done.stdout + done.stderr)
        raise SystemExit(done.returncode)


def main() -> int:
    found: list[str] = []
    with tempfile.TemporaryDirectory(prefix="galerne-wheels-") as name:
        folder = Path(name)
        wheels = {package: build(package, folder) for package in PACKAGES}
        for package, wheel in wheels.items():
            with ZipFile(wheel) as archive:
                files = len(archive.namelist())
            sys.stdout.write(f"{wheel.name}: {wheel.stat().st_size / 1000:.0f} kB, {files} files\n")
            found += [f"{wheel.name} {problem}" for problem in problems(package, wheel)]
        target = folder / "installed"
        pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps")
        run(*pip, "--target", str(target), *map(str, wheels.values()))
        run("-I", "-c", IMPORTS, str(target))
    for problem in found:
        sys.stderr.write(f"error: {problem} (wheel_unfit)\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
