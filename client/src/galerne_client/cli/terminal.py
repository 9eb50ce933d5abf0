"""What commands write to: results on standard output, everything else on standard error.

Readable without colour; NO_COLOR turns all styling off, and so does a pipe. Text that came from a
workload is stripped of control sequences before it reaches a terminal.
"""

import json
import os
import re
import sys
from collections.abc import Mapping
from typing import Any, cast

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from galerne_client.cli.exit_codes import CommandError, ExitCode
from galerne_client.errors import ApiError, GalerneError

WIDTH = 100
# Everything that moves the cursor or talks to the terminal; colours (…m) are harmless and stay.
_CONTROL = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"
    r"|\x1b\[[0-?]*[ -/]*[@-ln-~]"
    r"|\x1b[^\[\]]"
    r"|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f]"
)
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
STATE_STYLES = {
    "running": "green",
    "ready": "green",
    "succeeded": "green",
    "failed": "red",
    "pending": "yellow",
    "starting": "yellow",
    "stopping": "yellow",
    "finishing": "yellow",
    "stopped": "dim",
    "down": "red",
    "draining": "yellow",
}


class Terminal:
    """The two streams of a command."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self.out = _console(environ, is_error=False)
        self.err = _console(environ, is_error=True)

    @property
    def is_interactive(self) -> bool:
        """Say whether a person can be asked."""
        return sys.stdin.isatty() and self.err.is_terminal

    def json(self, value: Any) -> None:
        """Write `value` to standard output as JSON."""
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")

    def table(self, table: Table) -> None:
        self.out.print(table)

    def line(self, text: str) -> None:
        """Write a line of result; markup is understood, so escape what is not ours."""
        self.out.print(text, soft_wrap=True)

    def note(self, text: str) -> None:
        """Write a line for people beside the result."""
        self.err.print(text, soft_wrap=True)

    def output(self, text: str, *, to_error: bool = False) -> None:
        """Pass on a workload's output; beside a result, on standard error."""
        console, stream = (self.err, sys.stderr) if to_error else (self.out, sys.stdout)
        if console.is_terminal:
            text = _CONTROL.sub("", text)
            if console.color_system is None:
                text = _COLOUR.sub("", text)
        stream.write(text)
        stream.flush()

    def error(self, error: GalerneError) -> None:
        """Say what went wrong in one line, and in another what would help."""
        message, hint = error.message, error.hint
        wrong = error.errors if isinstance(error, ApiError) else []
        if wrong:
            # A file's own words: the user wrote `colour`, not `body.spec.colour`.
            message, hint = _field(wrong[0]), _field_hint(wrong[0])
        self.err.print(f"[red]error[/]: {plain(message)} ({plain(error.code)})", soft_wrap=True)
        for each in wrong[1:]:
            self.err.print(f"       {plain(_field(each))}", soft_wrap=True)
        if hint:
            self.err.print(f"[cyan]hint[/]: {plain(hint)}", soft_wrap=True)

    def confirm(self, question: str, *, assume_yes: bool) -> bool:
        """Ask before something is done. Without a person to ask, `--yes` must have been given."""
        if assume_yes:
            return True
        if not self.is_interactive:
            raise CommandError(
                "there is nobody to confirm: standard input is not a terminal",
                exit_code=ExitCode.USAGE,
                code="confirmation_required",
                hint="pass --yes to go ahead without being asked",
            )
        answer = self.err.input(f"{question} [y/N] ")
        return answer.strip().lower() in {"y", "yes", "o", "oui", "j", "ja", "s", "si"}


def _field(wrong: Mapping[str, Any]) -> str:
    at = str(wrong.get("at", "")).removeprefix("body.").removeprefix("spec.")
    return f"{at}: {wrong.get('message', '')}"


def _field_hint(wrong: Mapping[str, Any]) -> str:
    is_unknown = "Extra inputs" in str(wrong.get("message"))
    return "this key is not known: check its spelling" if is_unknown else "correct this value"


def _console(environ: Mapping[str, str], *, is_error: bool) -> Console:
    stream = sys.stderr if is_error else sys.stdout
    is_wide = environ.get("COLUMNS") or stream.isatty()
    return Console(
        stderr=is_error,
        width=None if is_wide else WIDTH,
        color_system=None if environ.get("NO_COLOR") else cast("Any", "auto"),
        highlight=False,
        emoji=False,
    )


def plain(text: str) -> str:
    """Make text from elsewhere safe to print: no markup, no control sequences."""
    return escape(_COLOUR.sub("", _CONTROL.sub("", text)))


def state_text(state: str) -> str:
    """Spell a state, coloured where there is colour."""
    style = STATE_STYLES.get(state)
    return f"[{style}]{plain(state)}[/]" if style else plain(state)


def new_table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """Make a table of this house: no frame, headings in capitals, figures to the right."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for column in columns:
        is_figure = column in right
        table.add_column(
            column.upper(), justify="right" if is_figure else "left", no_wrap=is_figure
        )
    return table


def fact_table() -> Table:
    """Make a table of two columns: what, and its value."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    return table
