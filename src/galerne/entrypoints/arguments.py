"""Arguments that every server process takes, and settings from them. A wrong one ends with its name."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from galerne.config import Settings, SettingsError, load_settings

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
        return load_settings(arguments.config, overrides=values)
    except SettingsError as error:
        sys.stderr.write(f"error: {error} (settings_invalid)\n")
        sys.stderr.write("hint: docs/reference/settings.md lists every setting\n")
        raise SystemExit(USAGE_EXIT_CODE) from None


def settings_from(program: str, description: str, argv: Sequence[str]) -> Settings:
    """Parse the shared arguments only."""
    return read_settings(parser_of(program, description).parse_args(list(argv)))
