"""Finds the log of a job: its latest attempt's, on whichever engine ran it."""

from collections.abc import Mapping

from galerne.compute.jobs.errors import JobNotFound
from galerne.compute.jobs.repository import JobRepository
from galerne.compute.logs import read_log
from galerne.db.session import Database
from galerne.drivers.base import Driver, LogChunk
from galerne.kit.clock import Clock
from galerne.rest.subject import Subject


class JobLogs:
    """Reads logs without holding a session while it waits."""

    def __init__(self, database: Database, drivers: Mapping[str, Driver], clock: Clock) -> None:
        self._database = database
        self._drivers = drivers
        self._clock = clock

    async def read(
        self,
        subject: Subject,
        job_id: str,
        *,
        attempt: int | None,
        offset: int,
        wait_seconds: float,
    ) -> LogChunk:
        """Return output from `offset`. A job that never ran has an empty log, complete if it ended."""
        async with self._database.read(subject.scope) as session:
            jobs = JobRepository(session)
            row = await jobs.get(job_id)
            if row is None:
                raise JobNotFound(f"there is no job {job_id}", hint="`galerne ps -a` lists yours")
            number = row.attempt if attempt is None else attempt
            tries = {found.number: found for found in await jobs.attempts(job_id)}
            ended = row.ended_at is not None
        found = tries.get(number)
        if found is None:
            return LogChunk(b"", next_offset=offset, complete=ended)
        chunk = await read_log(
            self._drivers[found.driver],
            found.id,
            offset=offset,
            wait_seconds=wait_seconds,
            clock=self._clock,
        )
        # Between two attempts the engine's log is complete, and the job's is not.
        more_to_come = not ended and attempt is None
        return LogChunk(
            chunk.data,
            next_offset=chunk.next_offset,
            dropped_bytes=chunk.dropped_bytes,
            complete=chunk.complete and not more_to_come,
        )
