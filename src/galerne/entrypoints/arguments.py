"""Arguments that every server process takes, and settings from them. A wrong one ends with its name."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from galerne.config import Settings, SettingsError, load_settings
from galerne.entrypoints.failures import end

USAGE_EXIT_CODE = 2


def parser_of(program: str, description: str) -> argparse.ArgumentParser:
    """Return a parser with the arguments that all processes share."""
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument(
        "--config", type=Path, help="TOML file of settings (default: $GALERNE_SERVER_CONFIG)"
    )
    parser.add_argument(
        "--data-dir", type=Path, help="where everything is kept (default: ./.galerne)"
    )
    parser.add_argument("--log-level", choices=["debug", "info", "warning", "error"])
    parser.add_argument("--log-format", choices=["json", "text"])
    return parser


def read_settings(arguments: argparse.Namespace, **overrides: Any) -> Settings:
    """Return the settings in force, or end the process with the name of what is wrong."""
    values: dict[str, Any] = dict(overrides)
    if arguments.data_dir is not None:
        values["data_dir"] = arguments.data_dir
    log = {
        key: value
        for key, value in (("level", arguments.log_level), ("format", arguments.log_format))
        if value is not None
    }
    if log:
        values["log"] = log
    try:
        settings = load_settings(arguments.config, overrides=values)
    except SettingsError as error:
        end(
            str(error),
            code="settings_invalid",
            hint="docs/reference/settings.md lists every setting",
            exit_code=USAGE_EXIT_CODE,
        )
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        end(
            f"the data directory {settings.data_dir} cannot be made: {error.strerror}",
            code="data_dir_unusable",
            hint="give one that may be written to with --data-dir or GALERNE_DATA_DIR",
        )
    return settings


def settings_from(program: str, description: str, argv: Sequence[str]) -> Settings:
    """Parse the shared arguments only."""
    return read_settings(parser_of(program, description).parse_args(list(argv)))
