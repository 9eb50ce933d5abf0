"""Looking at workloads and stopping them: `ps`, `describe`, `events`, `why`, `wait`, `stop`."""

import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import RenderableType
from rich.live import Live
from rich.table import Table

from galerne_client.cli.exit_codes import ExitCode
from galerne_client.cli.following import conclude_deployment, conclude_job
from galerne_client.cli.options import HERE, Json, Quiet, Target
from galerne_client.cli.references import find_workload, get_workload
from galerne_client.cli.terminal import Terminal, fact_table, new_table, plain, state_text
from galerne_client.cli.units import age, duration, label, size
from galerne_client.client import Galerne
from galerne_client.models import Deployment, DeploymentDetail, Event, Job, JobDetail, Reason

ROWS = 50
WATCH_SECONDS = 2.0
EVENT_CHARACTERS_MAX = 120
JOB_LIVE = ("pending", "starting", "running", "stopping", "finishing")
DEPLOYMENT_LIVE = ("starting", "running", "stopping")
Reference = Annotated[str, Parameter(help="Name or id of a job or deployment.")]
Limit = Annotated[int, Parameter(name=["--limit", "-n"], help="Rows at most.")]


def ps(
    *,
    all_: Annotated[bool, Parameter(name=["--all", "-a"], help="Ended ones too.")] = False,
    watch: Annotated[
        bool, Parameter(name=["--watch", "-w"], help="Refresh until interrupted.")
    ] = False,
    limit: Limit = ROWS,
    json: Json = False,
    quiet: Quiet = False,
    target: Target = HERE,
) -> int:
    """List jobs and deployments, newest first. Without --all, those that have not ended."""
    terminal = Terminal()
    with target.connect() as galerne:
        if watch and terminal.out.is_terminal and not json:
            return _watch(galerne, terminal, all_=all_, limit=limit)
        rows = _workloads(galerne, all_=all_, limit=limit)
    if json:
        terminal.json([row.model_dump(mode="json") for row in rows])
    elif quiet:
        for row in rows:
            terminal.line(plain(row.id))
    else:
        terminal.out.print(_table(rows, all_=all_, limit=limit))
    return ExitCode.OK


def _workloads(galerne: Galerne, *, all_: bool, limit: int) -> list[Job | Deployment]:
    jobs = galerne.jobs.list(states=() if all_ else JOB_LIVE, rows_max=limit)
    deployments = galerne.deployments.list(states=() if all_ else DEPLOYMENT_LIVE, rows_max=limit)
    found: list[Job | Deployment] = [*jobs, *deployments]
    return sorted(found, key=lambda row: row.created_at, reverse=True)[:limit]


def _table(rows: list[Job | Deployment], *, all_: bool, limit: int) -> RenderableType:
    if not rows:
        return "nothing here" if all_ else "nothing runs; `galerne ps -a` lists what has ended"
    table = new_table("name", "type", "state", "age", "ran", "label", "why", right=("age", "ran"))
    for row in rows:
        table.add_row(
            plain(row.name),
            row.kind,
            state_text(row.state) + _replicas(row),
            age(row.created_at),
            _ran(row),
            plain(label(row.label)),
            plain(row.reason.message) if row.reason and row.state != "succeeded" else "",
        )
    if len(rows) == limit:
        table.caption = f"the newest {limit}; -n shows more"
        table.caption_justify = "left"
    return table


def _replicas(row: Job | Deployment) -> str:
    if isinstance(row, Job):
        return f" (attempt {row.attempt})" if row.attempt > 1 else ""
    return f" {row.replicas_ready}/{row.replicas_wanted}"


def _ran(row: Job | Deployment) -> str:
    started = row.started_at if isinstance(row, Job) else row.ready_at
    return age(started, row.ended_at) if started else "-"


def _watch(galerne: Galerne, terminal: Terminal, *, all_: bool, limit: int) -> int:
    with Live(console=terminal.out, auto_refresh=False) as live:
        while True:
            rows = _workloads(galerne, all_=all_, limit=limit)
            live.update(_table(rows, all_=all_, limit=limit), refresh=True)
            time.sleep(WATCH_SECONDS)  # noqa: TID251 - a person watches; Ctrl-C ends it


def describe(reference: Reference, /, *, json: Json = False, target: Target = HERE) -> int:
    """Show a job or a deployment in full: its state, where it runs, its attempts or replicas."""
    terminal = Terminal()
    with target.connect() as galerne:
        workload = get_workload(galerne, reference)
    if json:
        terminal.json(workload.model_dump(mode="json"))
        return ExitCode.OK
    terminal.out.print(_facts(workload))
    parts = _attempts(workload) if isinstance(workload, JobDetail) else _copies(workload)
    if parts.row_count:
        terminal.line("")
        terminal.out.print(parts)
    return ExitCode.OK


def _facts(workload: JobDetail | DeploymentDetail) -> Table:
    table = fact_table()
    table.add_row("name", plain(workload.name))
    table.add_row("id", plain(workload.id))
    table.add_row("type", workload.kind)
    table.add_row("state", state_text(workload.state))
    table.add_row("wanted", workload.wanted)
    table.add_row("project", plain(workload.project_id))
    table.add_row("label", plain(label(workload.label)))
    if isinstance(workload, DeploymentDetail):
        model = workload.model
        table.add_row("model", plain(f"{model.get('name')} {model.get('version') or ''}".strip()))
        table.add_row("runtime", plain(workload.runtime))
        ready = f"{workload.replicas_ready} of {workload.replicas_wanted} ready"
        table.add_row("replicas", ready)
    elif workload.detail:
        table.add_row("detail", plain(workload.detail))
    table.add_row("created", f"{workload.created_at:%Y-%m-%d %H:%M:%S} UTC")
    table.add_row("ran", _duration(workload))
    for name, value in _inputs(workload):
        table.add_row(name, value)
    for name, value in _reason(workload.reason):
        table.add_row(name, value)
    return table


def _duration(workload: JobDetail | DeploymentDetail) -> str:
    started = workload.started_at if isinstance(workload, JobDetail) else workload.ready_at
    return age(started, workload.ended_at) if started else "-"


def _inputs(workload: JobDetail | DeploymentDetail) -> Iterator[tuple[str, str]]:
    for given in workload.inputs if isinstance(workload, JobDetail) else ():
        version = f":{given['version']}" if given.get("version") else ""
        yield "input", plain(f"{given.get('kind')} {given.get('name')}{version}")


def _reason(reason: Reason | None) -> Iterator[tuple[str, str]]:
    if reason is not None:
        yield "why", f"{plain(reason.message)} ({plain(reason.code)})"
        if reason.hint:
            yield "hint", plain(reason.hint)


def _attempts(job: JobDetail) -> Table:
    table = new_table(
        "attempt", "nodes", "ran", "cpu", "peak memory", "ended", "message",
        right=("attempt", "ran", "cpu", "peak memory"),
    )  # fmt: skip
    for one in job.attempts:
        table.add_row(
            str(one.number),
            plain(", ".join(one.node_names[:3]) + (" …" if len(one.node_names) > 3 else "")),
            age(one.started_at, one.ended_at) if one.started_at else "-",
            duration(one.cpu_nanoseconds / 1e9),
            size(one.memory_peak_bytes),
            _ending(one.cause, one.exit_code),
            plain(one.message),
        )
    return table


def _ending(cause: str | None, exit_code: int | None) -> str:
    if cause is None:
        return "-"
    return plain(cause) + (f" (exit {exit_code})" if exit_code else "")


def _copies(deployment: DeploymentDetail) -> Table:
    table = new_table("replica", "state", "nodes", "ready for", "detail", right=("ready for",))
    for one in deployment.replicas:
        detail = one.reason.message if one.reason else one.detail
        table.add_row(
            plain(one.id),
            state_text(one.state),
            plain(", ".join(one.node_names)),
            age(one.ready_at, one.ended_at) if one.ready_at else "-",
            plain(detail),
        )
    return table


def why(reference: Reference, /, *, json: Json = False, target: Target = HERE) -> int:
    """Say what a workload waits for or why it ended, and what would change that."""
    terminal = Terminal()
    with target.connect() as galerne:
        kind, workload_id = find_workload(galerne, reference)
        resource = galerne.jobs if kind == "job" else galerne.deployments
        answer = resource.why(workload_id)
    if json:
        terminal.json(answer.model_dump(mode="json"))
        return ExitCode.OK
    terminal.line(f"{plain(reference)}: {state_text(answer.state)}")
    terminal.line(f"{plain(answer.reason.message)} ({plain(answer.reason.code)})")
    if answer.reason.hint:
        terminal.line(f"[cyan]hint[/]: {plain(answer.reason.hint)}")
    facts = fact_table()
    for name, value in answer.facts.items():
        facts.add_row(plain(name.replace("_", " ")), plain(_fact(value)))
    if facts.row_count:
        terminal.line("")
        terminal.out.print(facts)
    return ExitCode.OK


def _fact(value: Any) -> str:
    if isinstance(value, list):
        return "; ".join(_fact(each) for each in value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_fact(each)}" for name, each in value.items())
    return "none" if value is None else str(value)


def wait(
    reference: Reference,
    /,
    *,
    timeout: Annotated[
        timedelta | None, Parameter(help="Give up after so long, as 90s or 10m.")
    ] = None,
    json: Json = False,
    target: Target = HERE,
) -> int:
    """Wait until a job has ended or a deployment serves; the exit code says how it went."""
    terminal = Terminal()
    with target.connect() as galerne:
        kind, workload_id = find_workload(galerne, reference)
        resource = galerne.jobs if kind == "job" else galerne.deployments
        workload: JobDetail | DeploymentDetail = resource.wait(
            workload_id, timeout_seconds=timeout.total_seconds() if timeout else None
        )
    if json:
        terminal.json(workload.model_dump(mode="json"))
    if isinstance(workload, JobDetail):
        return conclude_job(workload, terminal)
    return conclude_deployment(workload, terminal)


def stop(
    *references: Annotated[str, Parameter(name="REFERENCE", help="Names or ids of workloads.")],
    json: Json = False,
    target: Target = HERE,
) -> int:
    """Stop workloads gracefully: SIGTERM, their stated grace, then SIGKILL."""
    terminal = Terminal()
    stopped: list[Job | Deployment] = []
    with target.connect() as galerne:
        for reference in references:
            kind, workload_id = find_workload(galerne, reference)
            resource = galerne.jobs if kind == "job" else galerne.deployments
            stopped.append(resource.stop(workload_id))
            terminal.note(f"{plain(reference)}: {state_text(stopped[-1].state)}, wanted: stop")
    if json:
        terminal.json([each.model_dump(mode="json") for each in stopped])
    return ExitCode.OK


def events(
    reference: Annotated[
        str | None, Parameter(help="Name or id of a workload, or any other id.")
    ] = None,
    /,
    *,
    kind: Annotated[str | None, Parameter(help="Only this kind, as job.running.")] = None,
    limit: Limit = ROWS,
    json: Json = False,
    target: Target = HERE,
) -> int:
    """List what happened, newest first, from the append-only log."""
    terminal = Terminal()
    with target.connect() as galerne:
        subject_id = _subject(galerne, reference) if reference else None
        found = galerne.events.list(subject_id=subject_id, kind=kind, rows_max=limit)
        rows = list(islice(found, limit))
    if json:
        terminal.json([row.model_dump(mode="json") for row in rows])
    else:
        terminal.table(_event_table(rows, shows_subject=subject_id is None))
    return ExitCode.OK


def _subject(galerne: Galerne, reference: str) -> str:
    prefix, _, rest = reference.partition("_")
    if prefix and len(rest) >= 26:
        return reference
    return find_workload(galerne, reference)[1]


def _event_table(rows: list[Event], *, shows_subject: bool) -> Table:
    table = new_table("at", "kind", *(["subject"] if shows_subject else []), "what")
    table.columns[0].no_wrap = table.columns[1].no_wrap = True
    for row in rows:
        text = ", ".join(f"{name} {_fact(value)}" for name, value in row.data.items())
        shortened = text if len(text) <= EVENT_CHARACTERS_MAX else text[:EVENT_CHARACTERS_MAX] + "…"
        cells = [plain(row.subject_id)] if shows_subject else []
        table.add_row(f"{row.at:%Y-%m-%d %H:%M:%S}", plain(row.kind), *cells, plain(shortened))
    return table
