"""The SDK against a platform at the seam: what is sent, what comes back, in both clients."""

import hashlib
import inspect
from pathlib import Path

import httpx2
import pytest
from tests.client.fake_platform import (
    KEY,
    ConnectionCut,
    FakePlatform,
    Reply,
    artifact_of,
    id_of,
    job_of,
    mock_transport,
    problem,
)

from galerne_client import NO_RETRY, AsyncGalerne, Galerne, RetryPolicy
from galerne_client.errors import (
    ApiError,
    AuthenticationError,
    ConfigurationError,
    ConnectionFailedError,
    FileError,
    NoAnswerInTimeError,
    NotFoundError,
    UnavailableError,
    UnexpectedAnswerError,
    UnprocessableError,
)
from galerne_client.local_files import below
from galerne_client.resource import operation, procedure, stream
from galerne_client.resources.workloads import LogChunk

SPEC = {"type": "job", "name": "train", "commands": ["true"]}


def resources_of(client: object) -> dict[str, object]:
    return {
        name: value
        for name, value in vars(client).items()
        if not name.startswith("_") and hasattr(value, "_executor")
    }


class TestParity:
    def test_both_clients_offer_the_same(
        self, galerne: Galerne, async_galerne: AsyncGalerne
    ) -> None:
        """Every resource and every method of the blocking client is in the asynchronous one, alike."""
        ours, theirs = resources_of(galerne), resources_of(async_galerne)

        assert set(ours) == set(theirs)
        for name, resource in ours.items():
            methods = [each for each in dir(resource) if not each.startswith("_")]
            assert methods
            assert methods == [each for each in dir(theirs[name]) if not each.startswith("_")]
            for method in methods:
                mine, other = getattr(resource, method), getattr(theirs[name], method)
                assert inspect.signature(mine) == inspect.signature(other), (name, method)

    def test_every_method_is_described_once(self, galerne: Galerne) -> None:
        """No resource has a public method that is not a description carried out by the executors."""
        for resource in resources_of(galerne).values():
            for name, member in vars(type(resource)).items():
                if not name.startswith("_"):
                    assert isinstance(member, (operation, procedure, stream)), name

    def test_the_resources_are_the_documented_ones(self, galerne: Galerne) -> None:
        """The surface is the list that the README promises."""
        expected = {
            "api_keys",
            "artifacts",
            "datasets",
            "deployments",
            "events",
            "fleets",
            "jobs",
            "members",
            "models",
            "nodes",
            "organizations",
            "prices",
            "projects",
            "proofs",
            "sites",
            "usage",
        }
        assert expected == set(resources_of(galerne))


class TestCalls:
    def test_an_answer_becomes_its_model(self, galerne: Galerne) -> None:
        """An operation returns the typed object of its answer, and sends the key and who it is."""
        assert galerne.whoami().organization.legal_name == "Institut Exemple"

    def test_the_key_goes_into_the_header(self, galerne: Galerne, platform: FakePlatform) -> None:
        """Every request carries the API key as a bearer secret, and names the client."""
        galerne.whoami()

        headers = platform.received[0].headers
        assert headers["authorization"] == f"Bearer {KEY}"
        assert headers["user-agent"].startswith("galerne-client/")

    async def test_the_asynchronous_client_does_the_same(
        self, async_galerne: AsyncGalerne, platform: FakePlatform
    ) -> None:
        """Awaiting an operation gives what the blocking client returns."""
        job = await async_galerne.jobs.create(SPEC)

        assert job.name == "train"
        assert platform.posted("/jobs")[0].json()["spec"] == SPEC

    def test_the_default_project_is_meant_where_none_is_named(self, platform: FakePlatform) -> None:
        """A client made for a project sends it with each call that has one."""
        transport = mock_transport(platform)
        with Galerne(
            url="http://test", api_key=KEY, project="research", transport=transport
        ) as client:
            client.jobs.create(SPEC)
            list(client.jobs.list())

        assert platform.received[0].json()["project"] == "research"
        assert platform.received[1].query["project"] == ["research"]

    def test_an_answer_of_another_shape_is_named(
        self, galerne: Galerne, platform: FakePlatform
    ) -> None:
        """A body that is not what the API describes raises, with the field and a hint."""
        platform.faults.append(Reply(200, b"{}"))

        with pytest.raises(UnexpectedAnswerError) as caught:
            galerne.whoami()

        assert "api_key" in caught.value.message
        assert caught.value.hint

    def test_an_address_that_is_none_is_refused(self) -> None:
        """A client is not made for what is not an http address."""
        with pytest.raises(ConfigurationError) as caught:
            Galerne(url="cloud.example.eu", api_key=KEY)

        assert caught.value.code == "url_invalid"


class TestErrors:
    @pytest.mark.parametrize(
        ("status", "kind"),
        [(401, AuthenticationError), (404, NotFoundError), (422, UnprocessableError)],
    )
    def test_a_problem_becomes_a_typed_error(
        self, galerne: Galerne, platform: FakePlatform, status: int, kind: type[ApiError]
    ) -> None:
        """Problem details keep their code, hint, field errors and details."""
        errors = [{"at": "body.name", "message": "too long"}]
        platform.faults.append(
            problem(status, "a_code", "a detail", hint="a hint", errors=errors, details={"n": 1})
        )

        with pytest.raises(kind) as caught:
            galerne.whoami()

        error = caught.value
        assert (status, "a_code", "a detail") == (error.status, error.code, error.message)
        assert ("a hint", errors, {"n": 1}) == (error.hint, error.errors, error.details)

    def test_a_page_of_a_proxy_is_not_taken_for_an_answer(
        self, galerne: Galerne, platform: FakePlatform
    ) -> None:
        """An error without problem details says that the address may be wrong."""
        platform.faults.append(Reply(418, b"<html>teapot</html>"))

        with pytest.raises(UnexpectedAnswerError) as caught:
            galerne.whoami()

        assert "418" in caught.value.message


class TestRetries:
    @pytest.mark.parametrize("status", [429, 502, 503, 504])
    def test_what_asks_to_be_tried_again_is(
        self, galerne: Galerne, platform: FakePlatform, status: int
    ) -> None:
        """A request that the platform could not take now is sent again, and then answered."""
        platform.faults.extend([problem(status, "busy", "busy")] * 2)

        galerne.whoami()

        assert len(platform.received) == 3

    def test_tries_are_bounded(self, galerne: Galerne, platform: FakePlatform) -> None:
        """After the last attempt the error itself is raised."""
        platform.faults.extend([problem(503, "busy", "busy")] * 10)

        with pytest.raises(UnavailableError):
            galerne.whoami()

        assert RetryPolicy().attempts_max == len(platform.received)

    def test_the_idempotency_key_stays_the_same(
        self, galerne: Galerne, platform: FakePlatform
    ) -> None:
        """All attempts of one POST carry one key, another POST another, so nothing happens twice."""
        platform.faults.extend([ConnectionCut(), problem(503, "busy", "busy")])

        galerne.jobs.create(SPEC)
        galerne.jobs.create(SPEC)

        keys = [each.headers["idempotency-key"] for each in platform.posted("/jobs")]
        assert len(keys) == 4
        assert len(set(keys[:3])) == 1
        assert keys[3] != keys[0]

    def test_a_key_of_the_callers_own_is_used(
        self, galerne: Galerne, platform: FakePlatform
    ) -> None:
        """A program that must not submit twice over its own restarts chooses the key."""
        galerne.jobs.create(SPEC, idempotency_key="nightly-2026-11-22")

        assert platform.received[0].headers["idempotency-key"] == "nightly-2026-11-22"

    def test_an_answer_in_the_making_is_waited_for(
        self, galerne: Galerne, platform: FakePlatform
    ) -> None:
        """When the same POST is still being answered, it is asked for again."""
        platform.faults.append(problem(409, "idempotency_key_in_use", "being answered"))

        assert galerne.jobs.create(SPEC).name == "train"

    def test_a_change_is_not_repeated_blindly(
        self, galerne: Galerne, platform: FakePlatform
    ) -> None:
        """A PATCH whose answer was lost is not sent again: it may have been done."""
        platform.faults.append(ConnectionCut())

        with pytest.raises(ConnectionFailedError):
            galerne.members.update("mem_1", role="viewer")

        assert len(platform.received) == 1

    def test_a_refusal_is_not_tried_again(self, galerne: Galerne, platform: FakePlatform) -> None:
        """What is refused stays refused, and is asked once."""
        platform.faults.append(problem(403, "label_refused", "not in FR"))

        with pytest.raises(ApiError):
            galerne.whoami()

        assert len(platform.received) == 1

    async def test_the_asynchronous_client_tries_again_too(
        self, async_galerne: AsyncGalerne, platform: FakePlatform
    ) -> None:
        """Both executors run the same exchange."""
        platform.faults.extend([ConnectionCut(), problem(503, "busy", "busy")])

        await async_galerne.jobs.create(SPEC)

        keys = {each.headers["idempotency-key"] for each in platform.posted("/jobs")}
        assert len(keys) == 1
        assert len(platform.received) == 3

    def test_a_silent_server_is_named_as_such(self) -> None:
        """A time-out is told apart from a refused connection."""

        def silent(request: httpx2.Request) -> httpx2.Response:
            raise httpx2.ReadTimeout("silence", request=request)

        transport = httpx2.MockTransport(silent)
        client = Galerne(url="http://test", api_key=KEY, transport=transport, retry=NO_RETRY)
        with client, pytest.raises(NoAnswerInTimeError):
            client.whoami()

    def test_pauses_grow_and_are_bounded(self) -> None:
        """Each pause is at most twice the one before, jittered, never above the bound."""
        policy = RetryPolicy(delay_seconds=1, delay_seconds_max=4)

        for attempt, longest in ((1, 1), (2, 2), (3, 4), (9, 4)):
            assert longest / 2 <= policy.pause(attempt, None).seconds <= longest

    def test_the_servers_wish_is_heard_within_the_bound(self) -> None:
        """Retry-After lengthens a pause, up to the bound; nonsense is ignored."""
        policy = RetryPolicy(delay_seconds=0, delay_seconds_max=4)

        assert policy.pause(1, "3").seconds == 3
        assert policy.pause(1, "3600").seconds == 4
        assert policy.pause(1, "Sun, 22 Nov 2026 12:00:00 GMT").seconds == 0


class TestPages:
    def test_every_row_comes_once_in_order(self, galerne: Galerne, platform: FakePlatform) -> None:
        """Iterating a list fetches page after page by cursor."""
        platform.jobs = {job.id: job for job in (job_of(number) for number in range(1, 8))}
        platform.page_rows_max = 3

        assert [id_of("job", n) for n in range(7, 0, -1)] == [job.id for job in galerne.jobs.list()]
        assert len(platform.received) == 3

    def test_no_more_is_fetched_than_is_read(
        self, galerne: Galerne, platform: FakePlatform
    ) -> None:
        """A reader that stops early costs no further request."""
        platform.jobs = {job.id: job for job in (job_of(number) for number in range(1, 8))}
        platform.page_rows_max = 3

        next(iter(galerne.jobs.list()))

        assert len(platform.received) == 1

    def test_a_limit_is_kept_and_sent(self, galerne: Galerne, platform: FakePlatform) -> None:
        """`rows_max` bounds what comes and what is asked for."""
        platform.jobs = {job.id: job for job in (job_of(number) for number in range(1, 8))}

        assert len(list(galerne.jobs.list(rows_max=2))) == 2
        assert platform.received[0].query["limit"] == ["2"]

    def test_states_and_names_are_filtered_by_the_platform(
        self, galerne: Galerne, platform: FakePlatform
    ) -> None:
        """Filters go into the query, a list of states as one parameter each."""
        list(galerne.jobs.list(states=("running", "failed"), name="train"))

        assert platform.received[0].query["state"] == ["running", "failed"]
        assert platform.received[0].query["name"] == ["train"]

    async def test_async_for_gives_the_same(
        self, async_galerne: AsyncGalerne, platform: FakePlatform
    ) -> None:
        """The asynchronous client pages with `async for`."""
        platform.jobs = {job.id: job for job in (job_of(number) for number in range(1, 8))}
        platform.page_rows_max = 3

        assert len([job async for job in async_galerne.jobs.list()]) == 7


class TestFollowing:
    def test_a_log_is_followed_by_offsets(self, galerne: Galerne, platform: FakePlatform) -> None:
        """Each read begins where the one before ended; together they are the log, byte for byte."""
        job = job_of(1)
        platform.jobs = {job.id: job}
        platform.log, platform.log_piece_bytes = b"one\ntwo\nthree\n", 5

        chunks = list(galerne.jobs.follow_logs(job.id))

        assert platform.log == b"".join(chunk.data for chunk in chunks)
        offsets = [int(each.query["offset"][0]) for each in platform.received]
        assert offsets == [0, 5, 10]
        assert chunks[-1].is_complete

    def test_following_resumes_at_an_offset(self, galerne: Galerne, platform: FakePlatform) -> None:
        """A reader that was cut goes on from where it was."""
        job = job_of(1)
        platform.jobs = {job.id: job}
        platform.log = b"one\ntwo\n"

        assert b"".join(c.data for c in galerne.jobs.follow_logs(job.id, offset=4)) == b"two\n"

    def test_a_job_is_followed_to_its_end(self, galerne: Galerne, platform: FakePlatform) -> None:
        """States come as they change, output in order, and the last is how it ended."""
        job = job_of(1)
        platform.jobs = {job.id: job}
        updates = list(galerne.jobs.follow(job.id))

        states = [each.state for each in updates if not isinstance(each, LogChunk)]
        assert states == ["starting", "running", "succeeded"]
        assert b"".join(c.data for c in updates if isinstance(c, LogChunk)) == b"hello\n"

    def test_waiting_gives_up(self, galerne: Galerne, platform: FakePlatform) -> None:
        """A wait with a time-out raises, and says what the state still was."""
        job = job_of(1)
        platform.jobs, platform.job_states = {job.id: job}, type(platform.job_states)(["running"])

        with pytest.raises(NoAnswerInTimeError) as caught:
            galerne.jobs.wait(job.id, timeout_seconds=0)

        assert "running" in caught.value.message

    async def test_both_clients_follow(
        self, async_galerne: AsyncGalerne, platform: FakePlatform
    ) -> None:
        """The asynchronous client gives the same updates."""
        job = job_of(1)
        platform.jobs = {job.id: job}
        updates = [each async for each in async_galerne.jobs.follow(job.id)]

        assert [u.state for u in updates if not isinstance(u, LogChunk)][-1] == "succeeded"


class TestFiles:
    def directory(self, tmp_path: Path) -> Path:
        data = tmp_path / "data"
        (data / "sub").mkdir(parents=True)
        (data / "a.txt").write_text("same\n")
        (data / "sub" / "b.txt").write_text("same\n")
        (data / "c.bin").write_bytes(b"\x00" * 3_000_000)
        return data

    def test_a_directory_is_pushed(
        self, galerne: Galerne, platform: FakePlatform, tmp_path: Path
    ) -> None:
        """Each distinct content is sent once, then the tree, then the dataset that names it."""
        files = below(self.directory(tmp_path))
        sent: list[int] = []

        dataset = galerne.datasets.push(
            files, name="prose", licence="CC0-1.0", on_bytes=sent.append
        )

        puts = [each for each in platform.received if each.method == "PUT"]
        assert len(puts) == 2
        assert all(hashlib.sha256(p.body).hexdigest() == p.path.rsplit("/")[-1] for p in puts)
        assert sum(sent) == 3_000_005
        paths = [file["path"] for file in platform.posted("/artifacts")[0].json()["files"]]
        assert paths == ["a.txt", "c.bin", "sub/b.txt"]
        assert dataset.name == "prose"

    async def test_the_asynchronous_client_streams_too(
        self, async_galerne: AsyncGalerne, platform: FakePlatform, tmp_path: Path
    ) -> None:
        """Uploads do not differ between the clients."""
        await async_galerne.artifacts.upload(below(self.directory(tmp_path)))

        assert len(platform.blobs) == 2

    def test_a_broken_upload_begins_again(
        self, galerne: Galerne, platform: FakePlatform, tmp_path: Path
    ) -> None:
        """A PUT that was cut sends the whole file again."""
        platform.faults.append(ConnectionCut())

        galerne.artifacts.upload(below(self.directory(tmp_path))[:1])

        assert b"same\n" in platform.blobs.values()

    def test_files_come_back_as_they_were(self, galerne: Galerne, tmp_path: Path) -> None:
        """A download restores the tree, checked against its digests."""
        source = self.directory(tmp_path)
        artifact = galerne.artifacts.create(below(source))

        galerne.artifacts.download(artifact.id, tmp_path / "copy")

        copied = {file.path: file.sha256 for file in below(tmp_path / "copy")}
        assert {file.path: file.sha256 for file in below(source)} == copied

    async def test_the_asynchronous_client_downloads_too(
        self, async_galerne: AsyncGalerne, tmp_path: Path
    ) -> None:
        """Downloads do not differ between the clients."""
        artifact = await async_galerne.artifacts.create(below(self.directory(tmp_path)))
        await async_galerne.artifacts.download(artifact.id, tmp_path / "copy")

        assert (tmp_path / "copy" / "sub" / "b.txt").read_text() == "same\n"

    def test_damaged_content_is_not_kept(
        self, galerne: Galerne, platform: FakePlatform, tmp_path: Path
    ) -> None:
        """A file whose digest is another is removed, and the call fails."""
        artifact = galerne.artifacts.create(below(self.directory(tmp_path))[:1])
        platform.blobs = dict.fromkeys(platform.blobs, b"other")

        with pytest.raises(UnexpectedAnswerError) as caught:
            galerne.artifacts.download(artifact.id, tmp_path / "copy")

        assert caught.value.code == "digest_mismatch"
        assert not list((tmp_path / "copy").iterdir())

    def test_a_path_that_leads_out_is_refused(
        self, galerne: Galerne, platform: FakePlatform, tmp_path: Path
    ) -> None:
        """A platform cannot make the client write outside the directory."""
        file = {"path": "../evil", "sha256": "0" * 64, "size_bytes": 0}
        artifact = artifact_of(1, [file])
        platform.artifacts[artifact.id] = artifact

        with pytest.raises(UnexpectedAnswerError):
            galerne.artifacts.download(artifact.id, tmp_path / "copy")

        assert not (tmp_path / "evil").exists()

    def test_links_are_not_followed(self, tmp_path: Path) -> None:
        """A symbolic link could name a file that was never meant to be sent."""
        (tmp_path / "link").symlink_to("/etc/passwd")

        with pytest.raises(FileError) as caught:
            below(tmp_path)

        assert caught.value.code == "symbolic_link"

    def test_too_many_files_are_refused(self, tmp_path: Path) -> None:
        """A walk is bounded."""
        for number in range(3):
            (tmp_path / str(number)).touch()

        with pytest.raises(FileError) as caught:
            below(tmp_path, files_max=2)

        assert caught.value.code == "too_many_files"
