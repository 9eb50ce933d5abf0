"""What following a workload looks like: changes of state on standard error, output on standard output."""

import codecs

from galerne_client.cli.exit_codes import ExitCode
from galerne_client.cli.terminal import Terminal, plain, state_text
from galerne_client.cli.training_progress import TrainingBar, parse_point
from galerne_client.cli.units import age
from galerne_client.client import Galerne
from galerne_client.models import DeploymentDetail, JobDetail
from galerne_client.resources.following import JOB_ENDED
from galerne_client.resources.workloads import LogChunk

LINE_CHARACTERS_MAX = 100_000


class OutputWriter:
    """Passes a job's output on line by line; progress lines become a bar where there is a terminal."""

    def __init__(self, terminal: Terminal, *, has_bar: bool = True, to_error: bool = False) -> None:
        self._terminal = terminal
        self._has_bar = has_bar and terminal.err.is_terminal
        self._to_error = to_error
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""
        self._bar: TrainingBar | None = None

    def write(self, chunk: LogChunk) -> None:
        if chunk.dropped_bytes:
            self._terminal.note(f"… {chunk.dropped_bytes} bytes of output were dropped here …")
        text = self._rest + self._decoder.decode(chunk.data)
        lines = text.splitlines(keepends=True)
        self._rest = ""
        if lines and not lines[-1].endswith("\n") and len(lines[-1]) < LINE_CHARACTERS_MAX:
            self._rest = lines.pop()
        for line in lines:
            self._line(line)

    def _line(self, line: str) -> None:
        point = parse_point(line) if self._has_bar else None
        if point is None:
            self._terminal.output(line, to_error=self._to_error)
            return
        if self._bar is None:
            self._bar = TrainingBar(self._terminal.err)
        self._bar.show(point)

    def close(self) -> None:
        """Write what is left of a line, and leave the bar as it stands."""
        if self._rest:
            self._line(self._rest + "\n")
            self._rest = ""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def follow_job(
    galerne: Galerne,
    job_id: str,
    terminal: Terminal,
    *,
    first_attempt: int = 1,
    output_to_error: bool = False,
) -> JobDetail:
    """Show a job until it has ended, and return it."""
    writer = OutputWriter(terminal, to_error=output_to_error)
    latest: JobDetail | None = None
    try:
        for update in galerne.jobs.follow(job_id, first_attempt=first_attempt):
            if isinstance(update, LogChunk):
                writer.write(update)
            else:
                _announce_job(update, latest, terminal)
                latest = update
    except KeyboardInterrupt:
        writer.close()
        terminal.note(f"\nno longer following; {plain(job_id)} goes on")
        terminal.note(
            f"[cyan]hint[/]: galerne logs -f {plain(job_id)}, galerne stop {plain(job_id)}"
        )
        raise
    finally:
        writer.close()
    assert latest is not None, "following gives the job at least once"
    return latest


def _announce_job(job: JobDetail, before: JobDetail | None, terminal: Terminal) -> None:
    if before and (before.state, before.attempt, before.detail) == (
        job.state,
        job.attempt,
        job.detail,
    ):
        return
    if job.state in JOB_ENDED:
        return  # `conclude_job` says so, with how long it took.
    words = [f"{plain(job.name)}: {state_text(job.state)}"]
    if job.attempt > 1:
        words.append(f"(attempt {job.attempt})")
    if job.detail:
        words.append(f"- {plain(job.detail)}")
    elif job.state == "pending" and job.reason:
        words.append(f"- {plain(job.reason.message)}")
    terminal.note(" ".join(words))


def conclude_job(job: JobDetail, terminal: Terminal) -> ExitCode:
    """Say how it ended, and return the exit code that means the same."""
    lasted = f" after {age(job.started_at, job.ended_at)}" if job.started_at else ""
    terminal.note(f"{plain(job.name)}: {state_text(job.state)}{lasted}")
    if job.state == "succeeded":
        return ExitCode.OK
    if job.reason:
        terminal.note(f"{plain(job.reason.message)} ({plain(job.reason.code)})")
        if job.reason.hint:
            terminal.note(f"[cyan]hint[/]: {plain(job.reason.hint)}")
    return ExitCode.FAILED


def follow_deployment(galerne: Galerne, deployment_id: str, terminal: Terminal) -> DeploymentDetail:
    """Show a deployment until it serves or has ended, and return it."""
    latest: DeploymentDetail | None = None
    said = ""
    for latest in galerne.deployments.follow(deployment_id):
        if (line := _deployment_line(latest)) != said:
            said = line
            terminal.note(line)
    assert latest is not None, "following gives the deployment at least once"
    return latest


def _deployment_line(deployment: DeploymentDetail) -> str:
    ready = f"{deployment.replicas_ready} of {deployment.replicas_wanted} ready"
    detail = next((one.detail for one in deployment.replicas if one.detail), "")
    tail = f" - {plain(detail)}" if detail else ""
    return f"{plain(deployment.name)}: {state_text(deployment.state)} ({ready}){tail}"


def conclude_deployment(deployment: DeploymentDetail, terminal: Terminal) -> ExitCode:
    """Say how to use it, or why it does not serve."""
    if deployment.state == "running":
        terminal.note(f'[cyan]hint[/]: galerne chat {plain(deployment.name)} "…"')
        return ExitCode.OK
    if deployment.state == "stopped" and deployment.wanted == "stop":
        terminal.note(f"{plain(deployment.name)}: {state_text(deployment.state)}")
        return ExitCode.OK
    if deployment.reason:
        terminal.note(f"{plain(deployment.reason.message)} ({plain(deployment.reason.code)})")
        terminal.note(f"[cyan]hint[/]: {plain(deployment.reason.hint)}")
    return ExitCode.FAILED
