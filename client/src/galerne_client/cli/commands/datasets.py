"""`galerne datasets`: push a directory, list what there is."""

import json as json_module
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from galerne_client.cli.exit_codes import CommandError, ExitCode
from galerne_client.cli.options import HERE, Json, Quiet, Target
from galerne_client.cli.terminal import Terminal, new_table, plain
from galerne_client.cli.units import age, label, size
from galerne_client.client import Galerne
from galerne_client.errors import FileError
from galerne_client.local_files import LocalFile, below
from galerne_client.models import Dataset

DESCRIPTION_FILE = "dataset.json"
DESCRIPTION_BYTES_MAX = 1_000_000


def push(
    directory: Annotated[Path, Parameter(help="The directory; every file below it is taken.")],
    /,
    *,
    name: Annotated[str | None, Parameter(help="The dataset's name.")] = None,
    licence: Annotated[str | None, Parameter(help="SPDX expression, as CC-BY-4.0.")] = None,
    description: Annotated[str | None, Parameter(help="One sentence.")] = None,
    residency: Annotated[
        list[str],
        Parameter(name=["--label", "-l"], help="Where it may be; else as its project."),
    ] = [],  # noqa: B006 - read, never changed
    json: Json = False,
    target: Target = HERE,
) -> int:
    """Upload a directory as the next version of a dataset.

    A file dataset.json in it may give name, licence, description, source and label.
    """
    terminal = Terminal()
    facts = _facts(directory)
    name = name or facts.get("name")
    licence = licence or facts.get("licence")
    if not name or not licence:
        raise CommandError(
            f"the dataset's {'name' if not name else 'licence'} is not known",
            exit_code=ExitCode.USAGE,
            code="dataset_incomplete",
            hint=f"pass --name and --licence, or write them into {directory / DESCRIPTION_FILE}",
        )
    words = [part for word in residency for part in word.split(",") if part]
    files = below(directory)
    with target.connect() as galerne:
        dataset = _push(
            galerne,
            files,
            terminal,
            name=name,
            licence=licence,
            label={"residency": words} if words else facts.get("label"),
            source=facts.get("source"),
            description=description or facts.get("description") or "",
        )
    if json:
        terminal.json(dataset.model_dump(mode="json"))
    else:
        where = plain(label(dataset.label))
        terminal.line(f"{plain(dataset.name)}:{dataset.version} ({where}) {dataset.id}")
    return ExitCode.OK


def _facts(directory: Path) -> dict[str, Any]:
    """Read what the dataset says of itself, where it does."""
    path = directory / DESCRIPTION_FILE
    try:
        with path.open("rb") as file:
            facts = json_module.loads(file.read(DESCRIPTION_BYTES_MAX))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise FileError(f"cannot read {path}: {error}", code="dataset_json_invalid") from error
    if not isinstance(facts, dict):
        raise FileError(f"{path} is not a JSON object", code="dataset_json_invalid")
    return facts


def _push(galerne: Galerne, files: list[LocalFile], terminal: Terminal, **about: Any) -> Dataset:
    total = sum({file.sha256: file.size_bytes for file in files}.values())
    with Progress(
        TextColumn("uploading {task.fields[files]} files"),
        BarColumn(bar_width=24),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=terminal.err,
        transient=True,
        disable=not terminal.err.is_terminal,
    ) as progress:
        task = progress.add_task("upload", total=total, files=len(files))
        return galerne.datasets.push(
            files, on_bytes=lambda sent: progress.advance(task, sent), **about
        )


def list_(*, json: Json = False, quiet: Quiet = False, target: Target = HERE) -> int:
    """List datasets with their licence and label."""
    terminal = Terminal()
    with target.connect() as galerne:
        rows = list(galerne.datasets.list())
    if json:
        terminal.json([row.model_dump(mode="json") for row in rows])
    elif quiet:
        for row in rows:
            terminal.line(plain(f"{row.name}:{row.version}"))
    else:
        table = new_table("dataset", "licence", "label", "size", "age", right=("size", "age"))
        for row in rows:
            table.add_row(
                plain(f"{row.name}:{row.version}"),
                plain(row.licence),
                plain(label(row.label)),
                size(row.size_bytes),
                age(row.created_at),
            )
        terminal.table(table)
    return ExitCode.OK
