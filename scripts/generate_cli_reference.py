# ruff: noqa: INP001 - a script is run, not imported
"""Write `docs/reference/cli.md` from the commands themselves. The same commands give the same bytes.

python scripts/generate_cli_reference.py [--check]
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from cyclopts import App
from cyclopts.argument import Argument

from galerne_client.cli.app import NESTED, TOP, build_app
from galerne_client.cli.exit_codes import MEANINGS
from galerne_client.cli.server_commands import SERVER_COMMANDS

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = ROOT / "docs" / "reference" / "cli.md"
INTRODUCTION = """# The `galerne` command

Generated from the commands; do not edit.
Regenerate with `python scripts/generate_cli_reference.py`.

Results go to standard output, everything else to standard error. `--json` writes one JSON document.
`NO_COLOR` turns all styling off. An error is one line, `error: … (code)`, and mostly another, `hint: …`.

## Environment

| variable | meaning |
|---|---|
| `GALERNE_URL` | Address of the platform. |
| `GALERNE_API_KEY` | Key for it. A stored key is never sent to another address than its own. |
| `GALERNE_PROJECT` | Project meant when none is named. |
| `GALERNE_GATEWAY_URL` | Address of the LLM API, where that is another. |
| `GALERNE_CONTEXT` | Stored context to use; `operator` is what `galerne up` left. |
| `GALERNE_CONFIG` | File of contexts, else `~/.config/galerne/config.toml`. |
| `GALERNE_DATA_DIR` | Data directory of `galerne up`, else `./.galerne`. |
"""


def generate() -> str:
    """Return the reference as Markdown."""
    return "\n".join([INTRODUCTION, *_exit_codes(), *_commands(build_app()), *_server()])


def _exit_codes() -> Iterator[str]:
    yield "## Exit codes\n"
    yield "| code | name | meaning |\n|---|---|---|"
    for code, meaning in MEANINGS.items():
        yield f"| {code.value} | {code.name.lower().replace('_', ' ')} | {meaning} |"
    yield ""


def _commands(app: App) -> Iterator[str]:
    yield "## Commands\n"
    for entries in TOP.values():
        for name, _, text in entries:
            yield from _command(app[name], f"galerne {name}", text)
    for _, parent, _, entries in NESTED:
        for name, _, text in entries:
            yield from _command(app[parent][name], f"galerne {parent} {name}", text)


def _command(app: App, title: str, text: str) -> Iterator[str]:
    """Describe one command: what it does, its usage, each parameter."""
    yield f"### `{title}`\n"
    details = (app.default_command.__doc__ or "").strip() if app.default_command else ""
    rest = details.partition("\n\n")[2]
    yield text + ("\n\n" + " ".join(rest.split()) if rest else "") + "\n"
    rows = [_row(argument) for argument in app.assemble_argument_collection(parse_docstring=True)]
    rows = [row for row in rows if row]
    if rows:
        yield "| parameter | meaning |\n|---|---|"
        yield from rows
        yield ""


def _row(argument: Argument) -> str:
    """Describe one parameter; empty for what only groups others."""
    if not argument.show or argument.children:
        return ""
    named = [name for name in argument.names if not name.startswith("--no-")]
    names = named or [str(argument.field_info.name)]
    spelled = ", ".join(f"`{name}`" if name[0] == "-" else f"`{name.upper()}`" for name in names)
    required = " Required." if argument.required else ""
    return f"| {spelled} | {argument.parameter.help or ''}{required} |"


def _server() -> Iterator[str]:
    yield "## Commands of the server\n"
    yield "They come with the package `galerne`; each explains itself with `--help`.\n"
    yield "| command | meaning |\n|---|---|"
    for name, text in SERVER_COMMANDS.items():
        yield f"| `galerne {name}` | {text} |"
    yield ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="only say whether it is current")
    text = generate()
    if parser.parse_args().check:
        return 0 if OUTPUT.exists() and OUTPUT.read_text(encoding="utf-8") == text else 1
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
