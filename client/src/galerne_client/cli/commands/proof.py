"""`galerne proof`: fetch the evidence of where a workload ran, and verify it offline."""

import json as json_module
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.table import Table

from galerne_client.cli.exit_codes import ExitCode
from galerne_client.cli.options import HERE, Json, Target
from galerne_client.cli.references import find_workload
from galerne_client.cli.terminal import Terminal, fact_table, new_table, plain
from galerne_client.cli.units import label
from galerne_client.errors import FileError
from galerne_client.proofs import Verification
from galerne_client.proofs import verify as verify_bundle

BUNDLE_BYTES_MAX = 100_000_000
KEY_BYTES_MAX = 10_000


def show(
    reference: Annotated[str, Parameter(help="Name or id of a workload.")],
    /,
    *,
    output: Annotated[
        Path | None, Parameter(name=["--output", "-o"], help="Write the bundle to this file.")
    ] = None,
    json: Json = False,
    target: Target = HERE,
) -> int:
    """Fetch the proof of where a workload ran and under which label.

    What is shown is what the platform says; `galerne proof verify` checks it.
    """
    terminal = Terminal()
    with target.connect() as galerne:
        bundle = galerne.proofs.get(find_workload(galerne, reference)[1])
    if output is not None:
        _write(output, bundle)
    if json:
        terminal.json(bundle)
        return ExitCode.OK
    _show_summary(bundle.get("summary") or {}, terminal)
    terminal.note(f"log key {plain(str(bundle.get('verifier_key')))}")
    file = plain(str(output)) if output else "FILE"
    how = f"galerne proof verify {file}" if output else f"add -o {file} to verify it offline"
    terminal.note(f"[cyan]hint[/]: {how}")
    return ExitCode.OK


def _write(path: Path, bundle: Mapping[str, Any]) -> None:
    try:
        path.write_text(json_module.dumps(bundle, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror}", code="file_unwritable") from error


def _show_summary(summary: Mapping[str, Any], terminal: Terminal) -> None:
    facts = fact_table()
    if summary.get("label") is not None:
        facts.add_row("label", plain(label(summary["label"])))
    for site in summary.get("sites") or ():
        operator = f", operated by {site.get('operator')}" if site.get("operator") else ""
        facts.add_row("ran at", plain(f"{site.get('name')} ({site.get('country')}){operator}"))
    for state in summary.get("states") or ():
        facts.add_row("state", plain(f"{state.get('at')}  {state.get('kind')}"))
    terminal.table(facts)
    decisions = summary.get("decisions") or ()
    if decisions:
        terminal.line("")
        terminal.table(_decision_table(decisions))


def _decision_table(decisions: Any) -> Table:
    table = new_table("decision", "verdict", "site", "why")
    for each in decisions:
        verdict = str(each.get("verdict"))
        colour = "green" if verdict == "allowed" else "red"
        table.add_row(
            plain(str(each.get("kind"))),
            f"[{colour}]{plain(verdict)}[/]",
            plain(str(each.get("site") or "-")),
            plain(str(each.get("reason"))),
        )
    return table


def verify(
    file: Annotated[Path, Parameter(help="A bundle, as `galerne proof show -o` writes it.")],
    /,
    *,
    key: Annotated[
        str | None,
        Parameter(help="The log's key as its operator publishes it, or a file that holds it."),
    ] = None,
    json: Json = False,
) -> int:
    """Verify a proof without asking the platform: no network is used.

    Without --key the bundle's own key is used, which shows that the bundle is whole, not who made it.
    """
    terminal = Terminal()
    bundle = _read_bundle(file)
    verification = verify_bundle(bundle, trusted_key=_trusted(key))
    if json:
        terminal.json({"ok": verification.ok, **asdict(verification)})
    else:
        _report(verification, terminal)
    return ExitCode.OK if verification.ok else ExitCode.FAILED


def _read_bundle(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(BUNDLE_BYTES_MAX + 1)
        bundle = json_module.loads(content) if len(content) <= BUNDLE_BYTES_MAX else None
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}", code="file_unreadable") from error
    except (ValueError, RecursionError) as error:
        raise FileError(f"{path} is not JSON", code="bundle_invalid") from error
    if not isinstance(bundle, dict):
        raise FileError(
            f"{path} is not a proof bundle",
            code="bundle_invalid",
            hint="fetch one with `galerne proof show NAME -o FILE`",
        )
    return bundle


def _trusted(key: str | None) -> str | None:
    """Accept the key itself, or the path of a file that holds it."""
    if key is None or "+" in key:
        return key
    try:
        with Path(key).open("rb") as file:
            return file.read(KEY_BYTES_MAX).decode("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(
            f"cannot read a key from {key}", code="key_unreadable", hint="a key is name+id+base64"
        ) from error


def _report(verification: Verification, terminal: Terminal) -> None:
    table = new_table("check", "result", "what was found")
    for check in verification.checks:
        result = "[green]passed[/]" if check.passed else "[red]FAILED[/]"
        table.add_row(plain(check.name), result, plain(check.detail))
    terminal.table(table)
    terminal.line("")
    if not verification.ok:
        terminal.line("[red]not proven[/]: do not rely on anything that this bundle says")
        return
    if verification.summary:
        _show_summary(verification.summary, terminal)
        terminal.line("")
    terminal.line(f"[green]verified[/] offline: {plain(str(verification.subject_id))}")
    if not verification.key_is_trusted:
        terminal.note(f"[yellow]warning[/]: nobody vouched for the key {verification.verifier_key}")
        terminal.note("[cyan]hint[/]: pass --key with the one that the operator publishes")
