"""`galerne proof`: fetch the evidence of where a workload ran, and verify it offline."""

import json as json_module
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from galerne_client.cli.exit_codes import ExitCode
from galerne_client.cli.options import HERE, Json, Target
from galerne_client.cli.references import find_workload
from galerne_client.cli.terminal import Terminal, fact_table, plain
from galerne_client.errors import FileError
from galerne_client.proofs import verify as verify_bundle

BUNDLE_BYTES_MAX = 100_000_000


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
    """Fetch the proof of where a workload ran and under which label."""
    terminal = Terminal()
    with target.connect() as galerne:
        bundle = galerne.proofs.get(find_workload(galerne, reference)[1])
    if output is not None:
        output.write_text(json_module.dumps(bundle, indent=2) + "\n", encoding="utf-8")
        terminal.note(f"written to {plain(str(output))}")
        terminal.note(f"[cyan]hint[/]: galerne proof verify {plain(str(output))}")
    if json or output is None:
        terminal.json(bundle)
    return ExitCode.OK
