"""Contexts: what is stored, who may read it, what overrides what, and which key goes where."""

import stat
from pathlib import Path

import pytest

from galerne_client.contexts import (
    Configuration,
    Context,
    config_path,
    load,
    operator_context,
    resolve,
    save,
    write_operator_context,
)
from galerne_client.errors import ConfigurationError

HERE = Context("here", "https://cloud.example.eu", 'gal_"quoted"\\', "research")
THERE = Context("there", "https://other.example.eu", "gal_other")


def environ(tmp_path: Path, **more: str) -> dict[str, str]:
    data = str(tmp_path / "data")
    return {"GALERNE_CONFIG": str(tmp_path / "c" / "config.toml"), "GALERNE_DATA_DIR": data, **more}


def store(tmp_path: Path, *contexts: Context) -> dict[str, str]:
    variables = environ(tmp_path)
    save(
        Configuration({each.name: each for each in contexts}, contexts[0].name),
        config_path(variables),
    )
    return variables


class TestStore:
    def test_what_is_saved_is_loaded(self, tmp_path: Path) -> None:
        """Contexts survive the file, whatever characters they hold."""
        path = config_path(store(tmp_path, HERE, THERE))

        loaded = load(path)

        assert loaded.contexts == {"here": HERE, "there": THERE}
        assert loaded.current == "here"

    def test_only_the_user_can_read_it(self, tmp_path: Path) -> None:
        """The file holds keys, so its mode is 0600."""
        path = config_path(store(tmp_path, HERE))

        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert [path] == list(path.parent.iterdir())

    def test_a_broken_file_is_named(self, tmp_path: Path) -> None:
        """A file that is not TOML is an error with its path, not a traceback."""
        path = tmp_path / "config.toml"
        path.write_text("current = [")

        with pytest.raises(ConfigurationError) as caught:
            load(path)

        assert str(path) in caught.value.message
        assert caught.value.hint

    def test_a_context_without_address_is_named(self, tmp_path: Path) -> None:
        """A context must say where it leads."""
        path = tmp_path / "config.toml"
        path.write_text('[contexts.x]\napi_key = "k"\n')

        with pytest.raises(ConfigurationError) as caught:
            load(path)

        assert caught.value.code == "context_invalid"

    def test_the_home_directory_is_the_default(self) -> None:
        """Without XDG_CONFIG_HOME the file is below ~/.config."""
        expected = Path("/home/ada/.config/galerne/config.toml")

        assert expected == config_path({"HOME": "/home/ada"})


class TestResolve:
    def test_the_current_context_is_used(self, tmp_path: Path) -> None:
        """Without anything else, the stored current context is meant."""
        assert resolve(environ=store(tmp_path, HERE, THERE)) == HERE

    def test_a_context_can_be_named(self, tmp_path: Path) -> None:
        """An argument or GALERNE_CONTEXT chooses another."""
        variables = store(tmp_path, HERE, THERE)

        assert resolve(context="there", environ=variables) == THERE
        assert resolve(environ={**variables, "GALERNE_CONTEXT": "there"}) == THERE

    def test_an_unknown_context_is_refused(self, tmp_path: Path) -> None:
        """A name that is not stored raises and lists what is."""
        with pytest.raises(ConfigurationError) as caught:
            resolve(context="nowhere", environ=store(tmp_path, HERE))

        assert "here" in caught.value.message

    def test_the_environment_overrides(self, tmp_path: Path) -> None:
        """GALERNE_URL, GALERNE_API_KEY and GALERNE_PROJECT come before what is stored."""
        variables = {
            **store(tmp_path, HERE),
            "GALERNE_URL": "http://localhost:1",
            "GALERNE_API_KEY": "gal_env",
            "GALERNE_PROJECT": "other",
        }

        resolved = resolve(environ=variables)

        assert (
            resolved.url,
            resolved.api_key,
            resolved.project,
        ) == ("http://localhost:1", "gal_env", "other")

    def test_a_key_is_never_sent_to_another_address(self, tmp_path: Path) -> None:
        """Overriding only the address leaves the stored key at home."""
        variables = {**store(tmp_path, HERE), "GALERNE_URL": "https://elsewhere.example"}

        assert resolve(environ=variables).api_key is None

    def test_the_operators_context_is_found(self, tmp_path: Path) -> None:
        """What `galerne up` left in its data directory is used where nothing is stored."""
        variables = environ(tmp_path)
        path = write_operator_context(
            tmp_path / "data", url="http://127.0.0.1:8080", api_key="gal_op", gateway_url="http://g"
        )

        resolved = resolve(environ=variables)

        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert (resolved.url, resolved.api_key) == ("http://127.0.0.1:8080", "gal_op")
        assert resolved.gateway_url == "http://g"
        assert resolved == operator_context(variables)

    def test_a_stored_context_goes_before_the_operators(self, tmp_path: Path) -> None:
        """A login is a choice; the operator's context can still be named."""
        variables = store(tmp_path, HERE)
        write_operator_context(tmp_path / "data", url="http://127.0.0.1:8080", api_key="gal_op")

        assert resolve(environ=variables).name == "here"
        assert resolve(context="operator", environ=variables).api_key == "gal_op"

    def test_nothing_configured_says_what_to_do(self, tmp_path: Path) -> None:
        """With no context at all the hint names the ways to get one."""
        with pytest.raises(ConfigurationError) as caught:
            resolve(environ=environ(tmp_path))

        assert caught.value.code == "not_configured"
        assert "galerne login" in (caught.value.hint or "")
