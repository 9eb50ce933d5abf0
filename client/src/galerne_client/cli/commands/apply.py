"""`galerne apply`: from a file to a running workload, with a plan and a question in between."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from galerne_client.cli.exit_codes import ExitCode
from galerne_client.cli.following import (
    conclude_deployment,
    conclude_job,
    follow_deployment,
    follow_job,
)
from galerne_client.cli.options import HERE, Json, Target, Yes
from galerne_client.cli.plan_view import show_plan
from galerne_client.cli.spec_file import read_yaml, workload_files, workload_type
from galerne_client.cli.terminal import Terminal, plain
from galerne_client.client import Galerne
from galerne_client.local_files import LocalFile
from galerne_client.models import Deployment, Job, Plan


@dataclass(frozen=True, slots=True)
class _Workload:
    kind: str
    spec: Mapping[str, Any]
    files: list[LocalFile]


def apply(
    *,
    file: Annotated[Path, Parameter(name=["--file", "-f"], help="The workload's YAML file.")],
    yes: Yes = False,
    detach: Annotated[
        bool, Parameter(name=["--detach", "-d"], help="Return once it is submitted.")
    ] = False,
    plan: Annotated[bool, Parameter(help="Show the plan and stop there.")] = False,
    json: Json = False,
    target: Target = HERE,
) -> int:
    """Plan a workload file, ask, submit it and follow it.

    A job is followed until it has ended, a deployment until it serves. Ctrl-C stops following, not
    the workload.
    """
    spec = read_yaml(file)
    workload = _Workload(workload_type(spec, file), spec, workload_files(spec, file.parent))
    terminal = Terminal()
    with target.connect() as galerne:
        if workload.files:
            _upload(galerne, workload.files, terminal)
        planned = _plan(galerne, workload)
        if not json:
            show_plan(planned, terminal)
        if planned.placement.verdict == "refused":
            return _refuse(planned, terminal, json=json)
        if plan:
            if json:
                terminal.json({"plan": planned.model_dump(mode="json"), "workload": None})
            return ExitCode.OK
        if not terminal.confirm(f"Submit {planned.kind} {planned.name}?", assume_yes=yes):
            terminal.note("nothing was submitted")
            return ExitCode.OK
        submitted = _submit(galerne, workload)
        terminal.note(f"submitted [bold]{plain(submitted.name)}[/] ({plain(submitted.id)})")
        return _follow(galerne, submitted, planned, terminal, detach=detach, json=json)


def _upload(galerne: Galerne, files: list[LocalFile], terminal: Terminal) -> None:
    total = sum({file.sha256: file.size_bytes for file in files}.values())
    with Progress(
        TextColumn("uploading {task.fields[files]} files"),
        BarColumn(bar_width=24),
        DownloadColumn(),
        console=terminal.err,
        transient=True,
        disable=not terminal.err.is_terminal,
    ) as progress:
        task = progress.add_task("upload", total=total, files=len(files))
        galerne.artifacts.upload(files, on_bytes=lambda sent: progress.advance(task, sent))


def _plan(galerne: Galerne, workload: _Workload) -> Plan:
    if workload.kind == "deployment":
        return galerne.deployments.plan(workload.spec)
    return galerne.jobs.plan(workload.spec, files=[file.as_uploaded() for file in workload.files])


def _submit(galerne: Galerne, workload: _Workload) -> Job | Deployment:
    if workload.kind == "deployment":
        return galerne.deployments.create(workload.spec)
    return galerne.jobs.create(workload.spec, files=[file.as_uploaded() for file in workload.files])


def _refuse(plan: Plan, terminal: Terminal, *, json: bool) -> int:
    if json:
        terminal.json({"plan": plan.model_dump(mode="json"), "workload": None})
    placement = plan.placement
    terminal.note(f"[red]error[/]: refused: {plain(placement.reason)} ({plain(placement.code)})")
    if placement.hint:
        terminal.note(f"[cyan]hint[/]: {plain(placement.hint)}")
    return ExitCode.REFUSED


def _follow(
    galerne: Galerne,
    submitted: Job | Deployment,
    plan: Plan,
    terminal: Terminal,
    *,
    detach: bool,
    json: bool,
) -> int:
    ended: Any = submitted
    code = ExitCode.OK
    if not detach and isinstance(submitted, Deployment):
        ended = follow_deployment(galerne, submitted.id, terminal)
        code = conclude_deployment(ended, terminal)
    elif not detach:
        # With --json, standard output is for the result alone.
        ended = follow_job(galerne, submitted.id, terminal, output_to_error=json)
        code = conclude_job(ended, terminal)
    if json:
        terminal.json(
            {"plan": plan.model_dump(mode="json"), "workload": ended.model_dump(mode="json")}
        )
    return code
