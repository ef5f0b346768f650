"""The file `dynamo2ch.toml`: options that need not be typed each time.

    [snapshot]              # a command; `schema check` is [schema.check]
    to = "https://loader@host:8443/default"
    workers = 4

    [settings]              # what the environment variables DYNAMO2CH_... say, in lower case
    log_format = "json"

What is typed wins over the environment, the environment over the file, the file over the defaults. The file is the one
that DYNAMO2CH_CONFIG names, else dynamo2ch.toml in the current directory, if there is one. It takes no secrets: it is
meant to be kept with the schema files.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformer.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NAME = "dynamo2ch.toml"
VARIABLE = "DYNAMO2CH_CONFIG"
PREFIX = "DYNAMO2CH"
"""Of the environment variables: DYNAMO2CH_SNAPSHOT_TO is --to of `snapshot`."""

SETTINGS = ("connect_timeout", "read_timeout", "retry_seconds", "log_level", "log_format", "debug")
"""Keys of [settings]; each is an environment variable of its own."""


def load(command: Any) -> dict[str, Any]:
    """What the file says of each command, by option name, as the parser's defaults; empty when there is no file.

    command: the root command. [settings] go to the environment, where nothing is set there.
    Raises UsageError with the file, the key and the keys there are: a misspelled option must not go unseen.
    """
    path = _path()
    if path is None:
        return {}
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is no TOML: {error}", remedy="Mend it; docs/cli.md shows one.") from error
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(
            f"{path}, the configuration, cannot be read: {reason}", remedy=f"Mend it, or unset {VARIABLE}."
        ) from error
    _settings(path, content.pop("settings", {}))
    return _commands(path, "", command, content)


def _path() -> Path | None:
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    return Path(NAME) if Path(NAME).is_file() else None


def _settings(path: Path, values: object) -> None:
    if not isinstance(values, dict):
        raise UsageError(f"{path}: settings is no table", remedy="Write [settings], and key = value below it.")
    for name, value in values.items():
        if name not in SETTINGS:
            _refuse(path, f"[settings] {name}", SETTINGS, name)
        if isinstance(value, (dict, list)):
            raise UsageError(f"{path}: [settings] {name} takes one value", remedy=f'As in {name} = "…".')
        text = str(value).lower() if isinstance(value, bool) else str(value)
        os.environ.setdefault(f"{PREFIX}_{name.upper()}", text)


def _commands(path: Path, above: str, command: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults of the commands below a group."""
    defaults: dict[str, Any] = {}
    for name, inner in values.items():
        below = command.commands.get(name)
        shown = f"{above}{name}"
        if below is None or not isinstance(inner, dict):
            _refuse(path, f"[{shown}]" if isinstance(inner, dict) else shown, [*command.commands, "settings"], name)
        if hasattr(below, "commands"):
            defaults[name] = _commands(path, f"{shown}.", below, inner)
        else:
            defaults[name] = _options(path, shown, below, inner)
    return defaults


def _options(path: Path, shown: str, command: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    known = {
        spelled.removeprefix("--"): option.name
        for option in command.params
        for spelled in option.opts
        if spelled.startswith("--") and spelled != "--help"
    }
    options: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            _refuse(path, f"[{shown}] {name}", known, name)
        if isinstance(value, dict):
            raise UsageError(f"{path}: [{shown}] {name} takes no table", remedy="Write key = value.")
        options[known[name]] = value if isinstance(value, (bool, list)) else str(value)
    return options


def _refuse(path: Path, what: str, known: Iterable[str], name: str) -> None:
    near = difflib.get_close_matches(name, list(known), n=1)
    if "password" in name.lower() or "secret" in name.lower():
        remedy = "Secrets are not kept in this file: set CLICKHOUSE_PASSWORD_FILE, or the usual AWS variables."
    elif near:
        remedy = f"Did you mean {near[0]}?"
    else:
        remedy = f"There is: {', '.join(sorted(known))}."
    raise UsageError(f"{path}: {what} is not known", remedy=remedy)
