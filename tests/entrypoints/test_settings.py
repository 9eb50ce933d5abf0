"""Settings: every mistake is named, with the nearest thing that was meant."""

import os
from pathlib import Path

import pytest

from galerne.config import SettingsError, load_settings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without any of our variables."""
    for name in os.environ:
        if name.startswith("GALERNE_"):
            monkeypatch.delenv(name)


def file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "galerne.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path | None = None, **overrides: object) -> str:
    with pytest.raises(SettingsError) as refused:
        load_settings(path, overrides=overrides)
    return str(refused.value)


def test_defaults_are_enough() -> None:
    """Without a file and without variables everything has a value, and the database is in the directory."""
    settings = load_settings()

    assert settings.data_dir == Path.cwd() / ".galerne"
    assert settings.database == f"sqlite+aiosqlite:///{settings.data_dir}/galerne.db"
    assert (settings.api.host, settings.api.port) == ("127.0.0.1", 8700)


def test_arguments_come_before_variables_and_those_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The nearer to the command line, the stronger; tables are merged key by key."""
    path = file(tmp_path, '[site]\nname = "a"\ncountry = "FR"\npue = 1.3\n[api]\nport = 1000\n')
    monkeypatch.setenv("GALERNE_SITE__NAME", "b")
    monkeypatch.setenv("GALERNE_API__PORT", "2000")

    settings = load_settings(path, overrides={"site": {"name": "c"}})

    assert (settings.site.name, settings.site.country, settings.site.pue) == ("c", "FR", 1.3)
    assert settings.api.port == 2000


def test_a_file_may_be_named_by_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GALERNE_SERVER_CONFIG names the file where no argument does."""
    path = file(tmp_path, '[site]\nname = "named"\n')
    monkeypatch.setenv("GALERNE_SERVER_CONFIG", str(path))

    assert load_settings().site.name == "named"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("wrker = 1", "unknown setting wrker; did you mean worker?"),
        ("[api]\nprt = 1", "unknown setting api.prt; did you mean api.port?"),
        ("zzz = 1", "unknown setting zzz"),
        ("[api]\nport = 'high'", "setting api.port"),
        ("[api]\nport = 70000", "setting api.port"),
        ("[site]\ncountry = 'France'", "setting site.country"),
        ("[site]\nname = 'No Capitals'", "setting site.name"),
        ("[site]\npue = 0.5", "setting site.pue"),
        ("[worker]\nidle_seconds = 0", "setting worker.idle_seconds"),
        ("[log]\nlevel = 'loud'", "setting log.level"),
        ("[registry]\nblob_bytes_max = 'many'", "setting registry.blob_bytes_max"),
        ("api = 1", "setting api"),
        ("database_url = 'mysql://here'", "setting database_url"),
        ("api = [", "not TOML"),
        ("[api]\nport = 1\nport = 2", "not TOML"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, text: str, named: str) -> None:
    """The message says where it stands and, where there is one, what was meant."""
    assert named in refusal(file(tmp_path, text))


def test_every_mistake_is_named_at_once(tmp_path: Path) -> None:
    """Nobody has to start a process three times to learn of three mistakes."""
    message = refusal(file(tmp_path, "wrker = 1\n[api]\nport = 0\n[log]\nlevel = 'x'"))

    assert "wrker" in message
    assert "api.port" in message
    assert "log.level" in message


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A missing file, a directory and bytes that are not text are errors with the path in them."""
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "missing.toml", tmp_path, binary):
        assert str(path) in refusal(path)


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("GALERNE_DATADIR", "/x", "did you mean data_dir?"),
        ("GALERNE_SITE__CONTRY", "FR", "did you mean site.country?"),
        ("GALERNE_STIE__COUNTRY", "FR", "did you mean site?"),
        ("GALERNE_API__PORT__X", "1", "GALERNE_API__PORT__X"),
        ("GALERNE_API__PORT", "high", "api.port"),
        ("GALERNE_SITE__OPERATOR_SUBJECT_TO", "US", "JSON"),
        ("GALERNE_DATABASE_URL", "mysql://here", "database_url"),
    ],
)
def test_a_mistaken_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, named: str
) -> None:
    """A variable of our prefix that means nothing is an error, not a wish unheard."""
    monkeypatch.setenv(name, value)

    assert named in refusal()


@pytest.mark.parametrize(
    "name", ["GALERNE_URL", "GALERNE_API_KEY", "GALERNE_CONTEXT", "GALERNE_FAKE_RUN_SECONDS"]
)
def test_variables_of_others_are_left_alone(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The client's variables, and those of workloads, are no settings of the server's."""
    monkeypatch.setenv(name, "x")

    load_settings()


def test_a_password_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database URL that is not understood is named and not shown."""
    monkeypatch.setenv("GALERNE_DATABASE_URL", "mysql://me:secret@there/db")

    assert "secret" not in refusal()
