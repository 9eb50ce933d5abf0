"""Finding what the user means: a workload by its id or by its name."""

from typing import Literal

from galerne_client.cli.exit_codes import CommandError, ExitCode
from galerne_client.client import Galerne
from galerne_client.models import Deployment, DeploymentDetail, Job, JobDetail

ID_LENGTH_MIN = 26
Kind = Literal["job", "deployment"]


def find_workload(galerne: Galerne, reference: str) -> tuple[Kind, str]:
    """Return the kind and the id of a workload; by name, the newest that has not ended goes first."""
    prefix, _, rest = reference.partition("_")
    if len(rest) >= ID_LENGTH_MIN and prefix in {"job", "dep"}:
        return ("job" if prefix == "job" else "deployment"), reference
    jobs = list(galerne.jobs.list(name=reference, rows_max=20))
    deployments = list(galerne.deployments.list(name=reference, rows_max=20))
    found: list[Job | Deployment] = [*jobs, *deployments]
    if not found:
        raise CommandError(
            f"there is no job or deployment {reference!r} here",
            exit_code=ExitCode.NOT_FOUND,
            code="workload_not_found",
            hint="`galerne ps -a` lists them; another project is named with --project",
        )
    best = max(found, key=lambda each: (each.ended_at is None, each.created_at))
    return best.kind, best.id


def get_workload(galerne: Galerne, reference: str) -> JobDetail | DeploymentDetail:
    """Fetch a workload by its id or by its name."""
    kind, workload_id = find_workload(galerne, reference)
    return galerne.jobs.get(workload_id) if kind == "job" else galerne.deployments.get(workload_id)
