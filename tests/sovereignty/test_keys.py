"""The log's signing key: kept to its owner, made once, in the forms that other tools read."""

import stat
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from galerne.sovereignty.keys import LogSigner, SigningKeyUnusableError, ensure_signer

# The key, text and signature of the note package's own example, from the Go checksum database.
EXAMPLE_KEY_TEXT = (
    "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz\n"
)
EXAMPLE_VERIFIER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
EXAMPLE_TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
EXAMPLE_SIGNATURE = (
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
)


def test_a_key_is_made_once(tmp_path: Path) -> None:
    """A second start signs with the first one's key."""
    path = tmp_path / "keys" / "log.ed25519"
    first, second = ensure_signer(path), ensure_signer(path)
    assert first.verifier_key == second.verifier_key
    assert first.sign(b"x") == second.sign(b"x")


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    """The file and the directory made for it are closed to others; no unfinished file stays."""
    path = tmp_path / "keys" / "log.ed25519"
    ensure_signer(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    """One key wins, whoever is first."""
    path = tmp_path / "log.ed25519"
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: ensure_signer(path).verifier_key, range(8)))
    assert len(keys) == 1


def test_the_forms_are_those_of_c2sp_notes(tmp_path: Path) -> None:
    """A signing key of another implementation loads, and its verifier key and signatures are the same."""
    path = tmp_path / "log.ed25519"
    path.write_text(EXAMPLE_KEY_TEXT)
    path.chmod(0o600)
    signer = ensure_signer(path)
    assert signer.verifier_key == EXAMPLE_VERIFIER
    signature = b64encode(signer.key_id + signer.sign(EXAMPLE_TEXT.encode())).decode()
    assert signature == EXAMPLE_SIGNATURE


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """A key that may have been copied signs nothing; the error says what to do."""
    path = tmp_path / "log.ed25519"
    ensure_signer(path)
    path.chmod(0o640)
    with pytest.raises(SigningKeyUnusableError, match="chmod 600"):
        ensure_signer(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "PRIVATE+KEY+name\n",
        EXAMPLE_KEY_TEXT[:-1],
        EXAMPLE_KEY_TEXT.replace("c74f20a3", "c74f20a4"),
        EXAMPLE_KEY_TEXT.replace("AYEK", "AoEK"),
        EXAMPLE_KEY_TEXT.replace("AYEK", "!!!!"),
        EXAMPLE_KEY_TEXT.replace("KDFz", ""),
        "\udcff",
    ],
)
def test_a_damaged_key_is_refused_without_showing_it(tmp_path: Path, text: str) -> None:
    """A file that is no key is named, not replaced, and not quoted."""
    path = tmp_path / "log.ed25519"
    path.write_bytes(text.encode(errors="surrogateescape"))
    path.chmod(0o600)
    with pytest.raises(SigningKeyUnusableError, match="restore it") as caught:
        ensure_signer(path)
    assert caught.value.__cause__ is None
    assert "AYEK" not in str(caught.value)


def test_a_signer_does_not_show_its_key(tmp_path: Path) -> None:
    """Printing a signer prints nothing secret."""
    path = tmp_path / "log.ed25519"
    signer = ensure_signer(path, name="example.eu/log")
    secret = path.read_text().strip().rsplit("+", 1)[-1]
    assert secret not in f"{signer!r} {signer} {vars(signer)}"
    assert signer.name == "example.eu/log"
    assert isinstance(signer, LogSigner)
