"""Every statement on jobs and their attempts."""

from collections.abc import Mapping, Sequence

from sqlalchemy import and_, select

from galerne.compute.jobs.models import Job, JobAttempt
from galerne.db.repository import Repository


class JobRepository(Repository[Job]):
    """Statements on `jobs` and `job_attempts`."""

    model = Job

    async def attempts(self, job_id: str) -> Sequence[JobAttempt]:
        statement = (
            select(JobAttempt).where(JobAttempt.job_id == job_id).order_by(JobAttempt.number)
        )
        return (await self.session.scalars(statement)).all()

    async def attempt(self, attempt_id: str | None) -> JobAttempt | None:
        """Return one attempt; without a statement where the session holds it."""
        return await self.session.get(JobAttempt, attempt_id) if attempt_id else None

    async def latest_attempts(self, job_ids: Sequence[str]) -> Mapping[str, JobAttempt]:
        statement = select(JobAttempt).join(
            Job, and_(Job.id == JobAttempt.job_id, Job.attempt == JobAttempt.number)
        )
        found = await self.session.scalars(statement.where(JobAttempt.job_id.in_(job_ids)))
        return {attempt.job_id: attempt for attempt in found}
