"""Blobs and artifacts through the API: content is proven by sending it, and belongs to who sent it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import func, select
from tests.registry.api import Platform, digest_of, file_of, make_artifact, post_escaped, send

from galerne.db.session import Scope
from galerne.events.models import LogEntry
from galerne.integrations.objectstore.base import StoredFile
from galerne.registry.artifacts.errors import UploadCutOff
from galerne.registry.artifacts.manifest import Manifest
from galerne.registry.artifacts.models import Artifact, Blob
from galerne.registry.artifacts.service import ArtifactService
from galerne.registry.artifacts.uploads import Uploads
from galerne.registry.owner import Owner
from galerne.rest.subject import Subject
from galerne.sovereignty.labels import Label

CONTENT = b"du texte"


class TestBlobs:
    """PUT /blobs/{sha256}."""

    async def test_content_is_sent_once(self, registry: Platform) -> None:
        """Sending the same content again answers the same and adds nothing."""
        async with registry.client() as client:
            await asyncio.gather(*(send(client, CONTENT) for _ in range(4)))
        async with registry.database.read(Scope.system()) as session:
            assert await session.scalar(select(func.count()).select_from(Blob)) == 1

    async def test_other_content_is_refused(self, registry: Platform) -> None:
        """Content that is not what its digest says is not kept."""
        async with registry.client() as client:
            answer = await client.put(f"/blobs/{digest_of(CONTENT)}", content=b"autre")
        assert (answer.status_code, answer.json()["code"]) == (422, "digest_mismatch")
        assert await registry.trees.store.size_bytes(digest_of(CONTENT)) is None
        assert await registry.trees.store.size_bytes(digest_of(b"autre")) is None

    async def test_too_large_is_refused_by_its_header(self, registry: Platform) -> None:
        """A size that is announced beyond the limit is refused before a byte is read."""
        content = bytes(1_000_001)
        async with registry.client() as client:
            answer = await client.put(f"/blobs/{digest_of(content)}", content=content)
        assert (answer.status_code, answer.json()["code"]) == (413, "object_too_large")

    async def test_too_large_is_refused_while_it_comes(self, registry: Platform) -> None:
        """A stream that announces nothing is cut at the limit."""

        async def stream() -> AsyncIterator[bytes]:
            for _ in range(30):
                yield bytes(100_000)

        async with registry.client() as client:
            answer = await client.put(f"/blobs/{'0' * 64}", content=stream())
        assert (answer.status_code, answer.json()["code"]) == (413, "object_too_large")

    async def test_only_digests_are_names(self, registry: Platform) -> None:
        """Anything but a digest is refused as malformed or as no route."""
        async with registry.client() as client:
            for name in ("abc", "A" * 64, "..%2f..%2fetc%2fpasswd"):
                answer = await client.put(f"/blobs/{name}", content=CONTENT)
                assert answer.status_code in {404, 422}

    async def test_who_may_not(self, registry: Platform) -> None:
        """A key without registry:write sends nothing, and an unknown one neither."""
        for who, status in (("reader", 403), ("nobody", 403), ("x", 401)):
            async with registry.client(who) as client:
                answer = await client.put(f"/blobs/{digest_of(CONTENT)}", content=CONTENT)
            assert answer.status_code == status
        assert await registry.trees.store.size_bytes(digest_of(CONTENT)) is None

    async def test_a_long_upload_keeps_nobody_waiting(self, registry: Platform) -> None:
        """While content is on its way, others write: no transaction is open for it."""
        others_are_done = asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield CONTENT[:3]
            await others_are_done.wait()
            yield CONTENT[3:]

        uploads = Uploads(registry.database, registry.clock, registry.trees)
        who = Subject("org_1", "key_1", frozenset())
        upload = asyncio.create_task(
            uploads.receive(who, digest_of(CONTENT), slow(), announced=None)
        )
        await asyncio.sleep(0)
        async with registry.client("second") as client:
            await make_artifact(client, {"a": b"a"})
        others_are_done.set()
        assert (await upload).size_bytes == len(CONTENT)

    async def test_a_silent_sender_is_cut_off(self, registry: Platform) -> None:
        """A sender that says nothing for too long keeps no file and no connection."""

        async def silent() -> AsyncIterator[bytes]:
            yield CONTENT
            await asyncio.Event().wait()

        uploads = Uploads(registry.database, registry.clock, registry.trees, 0.01)
        who = Subject("org_1", "key_1", frozenset())
        with pytest.raises(UploadCutOff):
            await uploads.receive(who, digest_of(CONTENT), silent(), announced=None)


class TestCreating:
    """POST /artifacts."""

    async def test_files_become_an_artifact(self, registry: Platform) -> None:
        """An artifact lists its files, and each is read back."""
        async with registry.client() as client:
            made = await make_artifact(client, {"b/texte": CONTENT, "a": b""})
            assert [file["path"] for file in made["files"]] == ["a", "b/texte"]
            assert made["size_bytes"] == len(CONTENT)
            assert (await client.get(f"/artifacts/{made['id']}")).json() == made
            answer = await client.get(f"/artifacts/{made['id']}/files/b/texte")
        assert answer.content == CONTENT
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["etag"] == f'"{digest_of(CONTENT)}"'

    async def test_equal_directories_have_equal_digests(self, registry: Platform) -> None:
        """The digest names the tree, whatever order its files are named in."""
        async with registry.client() as client:
            first = await make_artifact(client, {"a": b"1", "b": b"2"})
            second = await make_artifact(client, {"b": b"2", "a": b"1"})
            third = await make_artifact(client, {"a": b"2", "b": b"1"})
        assert first["digest"] == second["digest"] != third["digest"]
        assert first["id"] != second["id"]

    async def test_bad_paths_are_answered(self, registry: Platform) -> None:
        """Paths that leave the directory, are no text, or do not fit together are refused."""
        async with registry.client() as client:
            await send(client, CONTENT)
            for paths in (["../x"], ["a\0b"], ["\ud800"], ["a", "a/b"]):
                files = [file_of(path, CONTENT) for path in paths]
                body = {"project": "alpha", "files": files}
                answer = await post_escaped(client, "/artifacts", body)
                assert answer.status_code in {400, 422}
                assert answer.json()["code"] in {"manifest_invalid", "invalid_request"}

    async def test_the_whole_is_bounded(self, registry: Platform) -> None:
        """Files that are each allowed and together too large are refused."""
        async with registry.client() as client:
            await send(client, bytes(900_000))
            files = [file_of(str(number), bytes(900_000)) for number in range(3)]
            answer = await client.post("/artifacts", json={"project": "alpha", "files": files})
        assert (answer.status_code, answer.json()["code"]) == (413, "tree_too_large")

    async def test_it_is_on_record(self, registry: Platform) -> None:
        """The log says what was registered, by digest and size and under which label."""
        async with registry.client() as client:
            made = await make_artifact(client, {"a": CONTENT})
            listed = (await client.get("/events", params={"subject_id": made["id"]})).json()
        (event,) = listed["items"]
        assert event["kind"] == "artifact.created"
        assert event["data"]["digest"] == made["digest"]
        assert event["data"]["label"]["residency"] == ["FR"]
        assert event["meaning"]


class TestTenancy:
    """What one tenant learns of another's content: nothing."""

    async def test_content_must_be_sent_to_be_named(self, registry: Platform) -> None:
        """Naming content by its digest answers alike, whether another tenant has it or nobody."""
        async with registry.client() as client:
            await send(client, CONTENT)
        answers = []
        async with registry.client("second") as client:
            for content in (CONTENT, b"unsent!!"):
                body = {"project": "alpha", "files": [file_of("a", content)]}
                answers.append(await client.post("/artifacts", json=body))
        assert [answer.status_code for answer in answers] == [422, 422]
        assert answers[0].json() == answers[1].json()
        assert answers[0].json()["code"] == "blob_missing"

    async def test_a_size_is_no_oracle(self, registry: Platform) -> None:
        """Content with another size than was sent is missing too: nothing is said of the true one."""
        async with registry.client() as client:
            await send(client, CONTENT)
            file = file_of("a", CONTENT) | {"size_bytes": 3}
            answer = await client.post("/artifacts", json={"project": "alpha", "files": [file]})
        assert answer.json()["code"] == "blob_missing"
        assert str(len(CONTENT)) not in answer.json()["detail"].partition("files")[2]

    async def test_sending_answers_alike(self, registry: Platform) -> None:
        """Sending content that another tenant has sent before answers as if it were new."""
        async with registry.client() as client:
            first = await client.put(f"/blobs/{digest_of(CONTENT)}", content=CONTENT)
        async with registry.client("second") as client:
            second = await client.put(f"/blobs/{digest_of(CONTENT)}", content=CONTENT)
        assert (first.status_code, first.json()) == (second.status_code, second.json())

    async def test_a_projects_key_names_what_was_sent_for_it(self, registry: Platform) -> None:
        """A key bound to a project cannot name what was sent for another one."""
        async with registry.client("bound") as client:
            await send(client, CONTENT)
        async with registry.client("bound elsewhere") as client:
            unnamed = {"files": [file_of("a", CONTENT)]}
            assert (await client.post("/artifacts", json=unnamed)).json()["code"] == "blob_missing"
        async with registry.client("first") as client:
            body = {"project": "beta", "files": [file_of("a", CONTENT)]}
            assert (await client.post("/artifacts", json=body)).status_code == 201

    async def test_anothers_artifact_is_not_there(self, registry: Platform) -> None:
        """Another tenant's or project's artifact, and its files, are answered as unknown ones are."""
        async with registry.client("bound") as client:
            made = await make_artifact(client, {"a": CONTENT})
        for who in ("second", "bound elsewhere"):
            async with registry.client(who) as client:
                for path in ("", "/files/a", "/files/b"):
                    theirs = await client.get(f"/artifacts/{made['id']}{path}")
                    unknown = await client.get(f"/artifacts/art_unknown{path}")
                    assert theirs.status_code == unknown.status_code == 404
                    assert _shape(theirs.json(), made["id"]) == _shape(
                        unknown.json(), "art_unknown"
                    )


def _shape(problem: dict[str, Any], artifact_id: str) -> dict[str, Any]:
    return problem | {"detail": problem["detail"].replace(artifact_id, "…")}


class TestStoring:
    """Artifacts that the platform collects itself."""

    async def test_once_by_source(self, registry: Platform) -> None:
        """What made it registers it once, however often it says so."""
        owner = Owner("org_1", "prj_1", Label())
        manifest = Manifest.of([StoredFile("a", digest_of(CONTENT), len(CONTENT))])
        ids = set()
        for _ in range(3):
            async with registry.database.write(Scope.system()) as session:
                service = ArtifactService(session, registry.clock)
                made = await service.store(
                    manifest, owner=owner, source_id="att_1:model", actor="worker"
                )
                ids.add(made.id)
        assert len(ids) == 1
        async with registry.database.read(Scope.system()) as session:
            assert await session.scalar(select(func.count()).select_from(Artifact)) == 1
            assert await session.scalar(select(func.count()).select_from(LogEntry)) == 1
