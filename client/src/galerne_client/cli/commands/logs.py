"""`galerne logs`: a workload's output, as far as it is or as it grows."""

from typing import Annotated

from cyclopts import Parameter

from galerne_client.cli.exit_codes import ExitCode
from galerne_client.cli.following import OutputWriter, conclude_job, follow_job
from galerne_client.cli.options import HERE, Target
from galerne_client.cli.references import get_workload
from galerne_client.cli.terminal import Terminal
from galerne_client.client import Galerne
from galerne_client.models import DeploymentDetail, JobDetail

READS_MAX = 100_000


def logs(
    reference: Annotated[str, Parameter(help="Name or id of a job or deployment.")],
    /,
    *,
    follow: Annotated[
        bool, Parameter(name=["--follow", "-f"], help="Go on until it has ended.")
    ] = False,
    attempt: Annotated[
        int | None, Parameter(help="Which attempt of a job; else the latest.")
    ] = None,
    replica: Annotated[str | None, Parameter(help="Which replica; else the newest.")] = None,
    target: Target = HERE,
) -> int:
    """Read or follow the output of a workload.

    Output goes to standard output as it is; changes of state go to standard error.
    """
    terminal = Terminal()
    with target.connect() as galerne:
        workload = get_workload(galerne, reference)
        if isinstance(workload, DeploymentDetail):
            _read_deployment(galerne, workload, terminal, replica=replica, follow=follow)
            return ExitCode.OK
        if not follow:
            _read_job(galerne, workload, terminal, attempt=attempt)
            return ExitCode.OK
        first = attempt or max(workload.attempt, 1)
        return conclude_job(
            follow_job(galerne, workload.id, terminal, first_attempt=first), terminal
        )


def _read_job(galerne: Galerne, job: JobDetail, terminal: Terminal, *, attempt: int | None) -> None:
    """Write what there is now, and no more."""
    if job.attempt == 0:
        terminal.note(f"no output yet: {job.reason.message if job.reason else job.state}")
        return
    writer = OutputWriter(terminal, has_bar=False)
    offset = 0
    for _ in range(READS_MAX):
        chunk = galerne.jobs.logs(job.id, offset=offset, attempt=attempt)
        writer.write(chunk)
        if chunk.is_complete or chunk.next_offset == offset:
            break
        offset = chunk.next_offset
    writer.close()


def _read_deployment(
    galerne: Galerne,
    deployment: DeploymentDetail,
    terminal: Terminal,
    *,
    replica: str | None,
    follow: bool,
) -> None:
    if not deployment.replicas:
        terminal.note("no output yet: it has no replica")
        return
    replica = replica or deployment.replicas[0].id
    writer = OutputWriter(terminal, has_bar=False)
    offset = 0
    try:
        if follow:
            for chunk in galerne.deployments.follow_logs(deployment.id, replica=replica):
                writer.write(chunk)
            return
        for _ in range(READS_MAX):
            chunk = galerne.deployments.logs(deployment.id, offset=offset, replica=replica)
            writer.write(chunk)
            if chunk.is_complete or chunk.next_offset == offset:
                return
            offset = chunk.next_offset
    finally:
        writer.close()
