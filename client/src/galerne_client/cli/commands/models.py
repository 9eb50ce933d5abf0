"""`galerne models`: list, show with lineage, pull."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from galerne_client.cli.exit_codes import CommandError, ExitCode
from galerne_client.cli.options import HERE, Json, Quiet, Target
from galerne_client.cli.terminal import Terminal, fact_table, new_table, plain
from galerne_client.cli.units import age, count, label, size
from galerne_client.client import Galerne
from galerne_client.models import Artifact, Model

Reference = Annotated[str, Parameter(help="Name, name:version or id of a model.")]


def list_(*, json: Json = False, quiet: Quiet = False, target: Target = HERE) -> int:
    """List models: your own and the operator's."""
    terminal = Terminal()
    with target.connect() as galerne:
        rows = list(galerne.models.list())
    if json:
        terminal.json([row.model_dump(mode="json") for row in rows])
    elif quiet:
        for row in rows:
            terminal.line(plain(_name(row)))
    else:
        table = new_table(
            "model", "format", "size", "licence", "label", "from", "age", right=("size", "age")
        )
        for row in rows:
            table.add_row(
                plain(_name(row)),
                plain(row.format),
                size(row.size_bytes),
                plain(row.licence),
                plain(label(row.label)),
                "the operator" if row.is_public else "this organization",
                age(row.created_at),
            )
        terminal.table(table)
    return ExitCode.OK


def _name(model: Model) -> str:
    return f"{model.name}:{model.version}"


def show(reference: Reference, /, *, json: Json = False, target: Target = HERE) -> int:
    """Show a model with its licence, label, lineage and metrics."""
    terminal = Terminal()
    with target.connect() as galerne:
        model = _find(galerne, reference)
    if json:
        terminal.json(model.model_dump(mode="json"))
        return ExitCode.OK
    facts = fact_table()
    facts.add_row("model", plain(_name(model)))
    facts.add_row("id", model.id)
    facts.add_row("format", plain(model.format))
    facts.add_row("size", size(model.size_bytes))
    if model.context_tokens:
        facts.add_row("context", f"{count(model.context_tokens)} tokens")
    facts.add_row("licence", plain(model.licence))
    facts.add_row("label", plain(label(model.label)))
    for ancestor in model.lineage:
        version = f":{ancestor.version}" if ancestor.version else ""
        facts.add_row(
            "made from", plain(f"{ancestor.kind} {ancestor.name}{version} ({ancestor.id})")
        )
    for name, value in {**model.source, **model.metrics}.items():
        facts.add_row(plain(name.replace("_", " ")), plain(str(value)))
    terminal.table(facts)
    return ExitCode.OK


def _find(galerne: Galerne, reference: str) -> Model:
    if reference.startswith("mdl_"):
        return galerne.models.get(reference)
    name, _, version = reference.partition(":")
    found = [
        model for model in galerne.models.list(name=name) if version in {"", str(model.version)}
    ]
    if not found:
        raise CommandError(
            f"there is no model {reference!r} here",
            exit_code=ExitCode.NOT_FOUND,
            code="model_not_found",
            hint="`galerne models list` lists them",
        )
    return max(found, key=lambda model: (not model.is_public, model.version))


def pull(
    reference: Reference,
    /,
    *,
    output: Annotated[
        Path | None, Parameter(name=["--output", "-o"], help="Directory; else the model's name.")
    ] = None,
    json: Json = False,
    target: Target = HERE,
) -> int:
    """Fetch a model's files, each checked against its digest."""
    terminal = Terminal()
    with target.connect() as galerne:
        model = _find(galerne, reference)
        if model.artifact_id is None:
            raise CommandError(
                f"{_name(model)} is the operator's; its files are not for download here",
                exit_code=ExitCode.REFUSED,
                code="model_not_downloadable",
                hint="`galerne models show` says where it came from",
            )
        directory = output or Path(model.name)
        artifact = _download(galerne, model.artifact_id, directory, terminal)
    if json:
        terminal.json({"directory": str(directory), **artifact.model_dump(mode="json")})
    else:
        terminal.line(f"{len(artifact.files)} files in {plain(str(directory))}")
    return ExitCode.OK


def _download(galerne: Galerne, artifact_id: str, directory: Path, terminal: Terminal) -> Artifact:
    with Progress(
        TextColumn("fetching"),
        BarColumn(bar_width=24),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=terminal.err,
        transient=True,
        disable=not terminal.err.is_terminal,
    ) as progress:
        total = galerne.artifacts.get(artifact_id).size_bytes
        task = progress.add_task("download", total=total)
        return galerne.artifacts.download(
            artifact_id, directory, on_bytes=lambda got: progress.advance(task, got)
        )
