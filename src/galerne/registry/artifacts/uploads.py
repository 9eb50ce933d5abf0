"""Receiving content: as long as it takes, with no session open meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.requests import ClientDisconnect

from galerne.db.session import Database
from galerne.integrations.objectstore.base import StoredObject
from galerne.integrations.objectstore.errors import ObjectTooLarge
from galerne.integrations.objectstore.trees import Trees
from galerne.kit.clock import Clock
from galerne.registry.artifacts.errors import UploadCutOff
from galerne.registry.artifacts.service import ArtifactService
from galerne.rest.subject import Subject

SILENCE_SECONDS_MAX = 60.0


@dataclass(frozen=True, slots=True)
class Uploads:
    """Takes a stream into the store, then says in one short transaction who has sent it."""

    database: Database
    clock: Clock
    trees: Trees
    silence_seconds_max: float = SILENCE_SECONDS_MAX

    async def receive(
        self, subject: Subject, sha256: str, chunks: AsyncIterator[bytes], *, announced: int | None
    ) -> StoredObject:
        """Keep the content. `announced` is the size that the sender gave, if any.

        Raises `ObjectTooLarge`, `DigestMismatch`, `StorageFull`, `UploadCutOff`; then nothing is kept.
        """
        bytes_max = self.trees.limits.file_bytes_max
        if announced is not None and announced > bytes_max:
            raise ObjectTooLarge(
                f"{announced} bytes; a file has at most {bytes_max}",
                hint="split it into smaller files; nothing was read",
            )
        stored = await self.trees.store.put(
            self._audible(chunks), bytes_max=bytes_max, sha256=sha256
        )
        async with self.database.write(subject.scope) as session:
            await ArtifactService(session, self.clock).record_sent(subject, stored)
        return stored

    async def _audible(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Pass the chunks on; end where the sender has gone or says nothing for too long."""
        while True:
            try:
                async with asyncio.timeout(self.silence_seconds_max):
                    chunk = await anext(chunks, None)
            except ClientDisconnect:
                raise UploadCutOff(
                    "the sender went away before the end", hint="send it again"
                ) from None
            except TimeoutError:
                raise UploadCutOff(
                    f"nothing came for {self.silence_seconds_max:.0f} seconds", hint="send it again"
                ) from None
            if chunk is None:
                return
            yield chunk
