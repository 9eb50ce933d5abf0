"""The journal keeps whole records through crashes, and nothing else."""

import os
import resource
import signal
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from galerne.gateway.journal import MAGIC, Journal, JournalError, Position, replay
from galerne.gateway.recording import (
    Outcome,
    RecordError,
    TokenCountMethod,
    UsageRecord,
    decode,
    encode,
)

PAYLOADS = st.lists(st.binary(min_size=1, max_size=300), max_size=20)


def journal_in(directory: Path, *, segment_bytes_max: int = 1 << 20) -> Journal:
    journal = Journal(directory, segment_bytes_max=segment_bytes_max)
    journal.open()
    return journal


def abandon(journal: Journal) -> None:
    """Let go of the files as a killed process does: nothing is written or removed."""
    os.close(journal._descriptor)
    os.close(journal._lock_descriptor)


@given(PAYLOADS, st.integers(min_value=60, max_value=2000))
def test_replays_what_was_appended(payloads: list[bytes], segment_bytes_max: int) -> None:
    """Records come back in order, over any number of segments."""
    with tempfile.TemporaryDirectory() as name:
        journal = journal_in(Path(name), segment_bytes_max=segment_bytes_max)
        for payload in payloads:
            journal.append(payload)
        journal.commit()
        read, position = journal.read(journal.start(), journal.end, 1000)
        abandon(journal)

        assert read == payloads
        assert position == journal.end
        assert list(replay(Path(name))) == payloads


@given(PAYLOADS.filter(bool), st.integers(min_value=0), st.integers(0, 255), st.booleans())
def test_a_damaged_tail_costs_only_itself(
    payloads: list[bytes], place: int, byte: int, truncate: bool
) -> None:
    """Cut or overwritten anywhere, the file yields the whole records before that place."""
    with tempfile.TemporaryDirectory() as name:
        journal = journal_in(Path(name))
        ends = []
        for payload in payloads:
            journal.append(payload)
            ends.append(journal.end.offset)
        abandon(journal)
        (path,) = Path(name).glob("*.journal")
        data = bytearray(path.read_bytes())
        place = len(MAGIC) + place % (len(data) - len(MAGIC))
        whole = sum(end <= place for end in ends)
        if truncate:
            del data[place:]
        else:
            data[place] ^= byte or 1
        path.write_bytes(data)

        reopened = Journal(Path(name), segment_bytes_max=1 << 20)
        recovery = reopened.open()
        read, _ = reopened.read(reopened.start(), reopened.end, 1000)
        reopened.close()

        assert recovery.records == whole
        assert read == payloads[:whole]


def test_batches_and_removal_of_shipped_segments(tmp_path: Path) -> None:
    """Reading goes on where it stopped; segments go when all in them is shipped."""
    journal = journal_in(tmp_path, segment_bytes_max=100)
    for number in range(30):
        journal.append(b"record %d" % number)
    position, seen = journal.start(), []
    while position < journal.end:
        batch, position = journal.read(position, journal.end, 7)
        journal.shipped(position, len(batch))
        seen += batch

    assert seen == [b"record %d" % number for number in range(30)]
    assert journal.pending_records == 0
    assert len(list(tmp_path.glob("*.journal"))) == 1
    journal.close()
    assert list(tmp_path.glob("*.journal")) == []


def test_what_was_not_shipped_stays_after_a_close(tmp_path: Path) -> None:
    """A clean stop keeps what the sink has not taken."""
    journal = journal_in(tmp_path)
    journal.append(b"kept")
    journal.close()

    again = Journal(tmp_path, segment_bytes_max=100)

    assert again.open().records == 1
    again.close()


def test_two_gateways_cannot_share_a_journal(tmp_path: Path) -> None:
    """The second is told to take a directory of its own."""
    journal = journal_in(tmp_path)

    with pytest.raises(JournalError, match="own directory"):
        Journal(tmp_path, segment_bytes_max=100).open()

    journal.close()


def test_a_full_disk_leaves_no_half_record(tmp_path: Path) -> None:
    """When the disk takes half a frame, append raises and the file ends at the last whole one."""
    journal = journal_in(tmp_path)
    journal.append(b"first")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (journal.end.offset + 10, limits[1]))
    try:
        for _ in range(2):
            with pytest.raises(JournalError):
                journal.append(b"x" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    journal.append(b"second")

    assert journal.read(journal.start(), journal.end, 10)[0] == [b"first", b"second"]
    journal.close()


def test_kill_9_loses_nothing_that_was_appended(tmp_path: Path) -> None:
    """A process that is killed right after append leaves every record it announced."""
    script = (
        "import sys, itertools\n"
        "from pathlib import Path\n"
        "from galerne.gateway.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1]), segment_bytes_max=5000)\n"
        "journal.open()\n"
        "for number in itertools.count():\n"
        "    journal.append(b'record %d' % number)\n"
        "    print(number, flush=True)\n"
    )
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and script
        [sys.executable, "-c", script, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    with process, process.stdout as announced:
        for _ in range(500):
            last = int(announced.readline())
        process.send_signal(signal.SIGKILL)
        last = max([last, *(int(line) for line in announced if line.endswith("\n"))])

    records = list(replay(tmp_path))

    assert records[: last + 1] == [b"record %d" % number for number in range(last + 1)]
    assert len(records) <= last + 2


def test_positions_before_any_segment_read_nothing(tmp_path: Path) -> None:
    """An empty journal has nothing to read."""
    journal = journal_in(tmp_path)

    assert journal.read(Position(0, 0), journal.end, 5)[0] == []
    journal.close()


RECORD = UsageRecord(
    id="req_1",
    key_id="key_1",
    organization_id="org_1",
    project_id="prj_1",
    deployment_id="dep_1",
    replica_id="rep_1",
    model="modèle",
    site_id="",
    endpoint="completions",
    prompt_tokens=1,
    cached_tokens=0,
    completion_tokens=2,
    started_at=datetime(2026, 11, 22, 7, 0, 0, 123456, tzinfo=UTC),
    duration_ms=5,
    ttft_ms=None,
    outcome=Outcome.CLIENT_CLOSED,
    token_count_method=TokenCountMethod.CHUNKS,
    streamed=True,
)


def test_records_survive_their_spelling() -> None:
    """Encoding and decoding give the same record, types included."""
    again = decode(encode(RECORD))

    assert again == RECORD
    assert type(again.outcome) is Outcome
    assert type(again.token_count_method) is TokenCountMethod


@pytest.mark.parametrize("payload", [b"", b"{}", b"[1]", b"[2,3]", b'[1,"a"]', b"\xff"])
def test_foreign_payloads_are_named_as_such(payload: bytes) -> None:
    """What is not a record of this format raises RecordError, nothing else."""
    with pytest.raises(RecordError):
        decode(payload)
