"""A workspace: what goes in, what is kept, what comes out, and what a workload cannot make of it."""

import hashlib
from pathlib import Path

import pytest

from galerne.compute.staging import OutputMissing, StagedInput, Stager, environment_of
from galerne.drivers.errors import LaunchRefused
from galerne.integrations.objectstore.base import StoredFile
from galerne.integrations.objectstore.errors import FileRefused
from galerne.integrations.objectstore.filesystem import FileObjectStore
from galerne.integrations.objectstore.trees import Trees


@pytest.fixture
def store(tmp_path: Path) -> FileObjectStore:
    return FileObjectStore(tmp_path / "objects")


@pytest.fixture
def stager(store: FileObjectStore, tmp_path: Path) -> Stager:
    return Stager(Trees(store, tmp_path / "trees"), tmp_path / "workspaces")


async def stored(store: FileObjectStore, tmp_path: Path, path: str, text: str) -> StoredFile:
    source = tmp_path / "upload"
    source.write_text(text)
    kept = await store.put_file(source, bytes_max=1000)
    return StoredFile(path, kept.sha256, kept.size_bytes)


async def test_files_and_inputs_are_there(
    stager: Stager, store: FileObjectStore, tmp_path: Path
) -> None:
    """Files are copied to their places; inputs are mounts of one read-only copy; folders are made."""
    file = await stored(store, tmp_path, "src/train.py", "print()")
    given = StagedInput("corpus", hashlib.sha256(b"x").hexdigest(), (file,))

    (mount,) = await stager.prepare("job_1", files=[file], inputs=[given])

    workspace = stager.workspace("job_1")
    assert (workspace / "src/train.py").read_text() == "print()"
    assert (mount.source / "src/train.py").read_text() == "print()"
    assert mount.target == "inputs/corpus"
    assert (workspace / "outputs").is_dir()
    assert (workspace / "checkpoints").is_dir()


async def test_a_second_attempt_finds_what_the_first_left(
    stager: Stager, store: FileObjectStore, tmp_path: Path
) -> None:
    """Preparing again brings back what is missing and changes nothing that is there."""
    files = [await stored(store, tmp_path, name, name) for name in ("a.txt", "b.txt")]
    await stager.prepare("job_1", files=files, inputs=[])
    workspace = stager.workspace("job_1")
    (workspace / "a.txt").write_text("changed")
    (workspace / "b.txt").unlink()
    (workspace / "checkpoints" / "step-7").write_text("weights")

    await stager.prepare("job_1", files=files, inputs=[])

    assert (workspace / "a.txt").read_text() == "changed"
    assert (workspace / "b.txt").read_text() == "b.txt"
    assert (workspace / "checkpoints" / "step-7").read_text() == "weights"


@pytest.mark.parametrize("spoilt", ["src", "outputs", "checkpoints", "inputs"])
@pytest.mark.parametrize("way", ["link", "file"])
async def test_nothing_is_written_through_what_an_attempt_left(
    stager: Stager, store: FileObjectStore, tmp_path: Path, spoilt: str, way: str
) -> None:
    """A link or file in the place of a directory is refused, and nothing appears behind the link."""
    file = await stored(store, tmp_path, "src/train.py", "print()")
    await stager.prepare("job_1", files=[file], inputs=[])
    workspace, outside = stager.workspace("job_1"), tmp_path / "outside"
    outside.mkdir()
    (workspace / "src/train.py").unlink()
    (workspace / spoilt).rmdir()
    if way == "link":
        (workspace / spoilt).symlink_to(outside)
    else:
        (workspace / spoilt).write_text("")

    with pytest.raises(LaunchRefused) as refused:
        await stager.prepare("job_1", files=[file], inputs=[])

    assert refused.value.code == "workspace_spoiled"
    assert list(outside.iterdir()) == []


async def test_files_that_need_the_same_place_are_refused(
    stager: Stager, store: FileObjectStore, tmp_path: Path
) -> None:
    """One path cannot be a file and a directory: the job fails with a reason and is not tried for ever."""
    files = [await stored(store, tmp_path, path, "") for path in ("a/b", "a")]
    await stager.prepare("job_1", files=[files[1]], inputs=[])

    with pytest.raises(LaunchRefused):
        await stager.prepare("job_1", files=files, inputs=[])


async def test_outputs_are_collected(stager: Stager) -> None:
    """Each output's files come back by the path that the job's file names."""
    await stager.prepare("job_1", files=[], inputs=[])
    model = stager.workspace("job_1") / "outputs" / "models" / "best"
    model.mkdir(parents=True)
    (model / "config.json").write_text("{}")

    collected = await stager.collect("job_1", ["models/best"])

    assert [file.path for file in collected["models/best"]] == ["config.json"]


@pytest.mark.parametrize("left", ["nothing", "empty", "file"])
async def test_an_output_that_is_not_there_is_named(stager: Stager, left: str) -> None:
    """Nothing, an empty directory and a plain file are no output."""
    await stager.prepare("job_1", files=[], inputs=[])
    path = stager.workspace("job_1") / "outputs" / "model"
    if left == "empty":
        path.mkdir()
    if left == "file":
        path.write_text("")

    with pytest.raises(OutputMissing, match="model"):
        await stager.collect("job_1", ["model"])


@pytest.mark.parametrize("linked", ["outputs", "outputs/deep", "outputs/deep/model"])
async def test_no_link_leads_out_of_the_workspace(
    stager: Stager, tmp_path: Path, linked: str
) -> None:
    """A link anywhere on the way to an output is refused: a job keeps its own files, not the node's."""
    await stager.prepare("job_1", files=[], inputs=[])
    workspace, secrets = stager.workspace("job_1"), tmp_path / "of-the-node"
    for folder in (secrets, secrets / "model", secrets / "deep" / "model"):
        folder.mkdir(parents=True)
        (folder / "key").write_text("secret")
    (workspace / "outputs").rmdir()
    path = workspace / linked
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(secrets)

    with pytest.raises(OutputMissing, match="link"):
        await stager.collect("job_1", ["deep/model"])


async def test_a_link_inside_an_output_is_refused(stager: Stager) -> None:
    """Only regular files are kept."""
    await stager.prepare("job_1", files=[], inputs=[])
    path = stager.workspace("job_1") / "outputs" / "model"
    path.mkdir()
    (path / "shadow").symlink_to("/etc/passwd")

    with pytest.raises(FileRefused):
        await stager.collect("job_1", ["model"])


async def test_discard_removes_the_workspace(stager: Stager) -> None:
    """Discarding is final and may be repeated."""
    await stager.prepare("job_1", files=[], inputs=[])

    await stager.discard("job_1")
    await stager.discard("job_1")

    assert not stager.workspace("job_1").exists()


def test_the_environment_says_where_things_are(tmp_path: Path) -> None:
    """A job finds its outputs, checkpoints and inputs, and how many cores it has."""
    found = environment_of(
        tmp_path, inputs={"my-corpus": "inputs/my-corpus"}, nodes=2, cpu_millis=500, name="train"
    )

    assert found["GALERNE_OUTPUTS"] == str(tmp_path / "outputs")
    assert found["GALERNE_INPUT_MY_CORPUS"] == str(tmp_path / "inputs/my-corpus")
    assert found["GALERNE_NODES_NUM"] == "2"
    assert found["OMP_NUM_THREADS"] == "1"
