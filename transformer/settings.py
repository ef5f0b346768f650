"""What the environment says: secrets, time-outs, how to log. Command-line options win over it.

It imports nothing of the project but errors, so every room may use it.
"""

from __future__ import annotations

import json
import os
import re
from collections import ChainMap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from transformer.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("auto", "text", "json")


_SHORTEST = 4  # characters of a secret that is looked for; a shorter one would blank half of every message
_STORE_SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_CREDENTIALS = re.compile(r"\b(Basic|Bearer) [A-Za-z0-9+/=._~-]{4,}")
_secrets: set[str] = set()


def hide(text: str) -> str:
    """`text` without any secret that this process knows, however it is written.

    What is printed or logged passes through here last. Nothing of ours puts a secret there, but a server may repeat
    what it was sent, and the traceback of a library what it was called with.
    """
    for secret in _secrets.union(os.environ.get(name, "") for name in _STORE_SECRETS):
        if len(secret) < _SHORTEST:
            continue
        for form in {secret, quote(secret, safe=""), quote(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1]}:
            text = text.replace(form, "***")
    return _CREDENTIALS.sub(r"\1 ***", text)


class Secret:
    """A text that shows itself only when asked: not in reprs, logs, f-strings or tracebacks."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text
        if len(text) >= _SHORTEST:
            _secrets.add(text)

    def reveal(self) -> str:
        """The text itself. Give it to whoever needs it and keep it in no other variable."""
        return self._text

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one process.

    clickhouse_password: for http(s) destinations whose URL has none; CLICKHOUSE_PASSWORD, or the text of the file that
        CLICKHOUSE_PASSWORD_FILE names, without its line end.
    connect_timeout, read_timeout: whole seconds, for http(s) destinations; DYNAMO2CH_CONNECT_TIMEOUT and
        DYNAMO2CH_READ_TIMEOUT. A server at work sends signs of life, so the second one counts silence, not the length
        of an insert.
    ca_cert: file of the authority (PEM) that vouches for https servers, in place of the usual ones; DYNAMO2CH_CA_CERT.
    client_cert, client_key: files (PEM) of the certificate shown to https servers and of its key, which may stand in
        the same file; DYNAMO2CH_CLIENT_CERT, DYNAMO2CH_CLIENT_KEY.
    retry_seconds: for how long a call to the destination is tried again once a load has begun;
        DYNAMO2CH_RETRY_SECONDS.
    cloud_key_id, cloud_key_secret: of the ClickHouse Cloud API; CLICKHOUSE_CLOUD_KEY_ID, and
        CLICKHOUSE_CLOUD_KEY_SECRET or the text of the file that CLICKHOUSE_CLOUD_KEY_SECRET_FILE names.
    log_level, log_format: DYNAMO2CH_LOG_LEVEL, DYNAMO2CH_LOG_FORMAT. `auto` is text on a terminal and JSON elsewhere.
    """

    clickhouse_password: Secret | None = None
    connect_timeout: int = 10
    read_timeout: int = 300
    log_level: str = "info"
    log_format: str = "auto"
    retry_seconds: int = 600
    ca_cert: str = ""
    client_cert: str = ""
    client_key: str = ""
    cloud_key_id: str = ""
    cloud_key_secret: Secret | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """The settings that `environ` (default: this process's) asks for.

        Raises UsageError naming the variable whose value cannot be used; secrets are not repeated.
        """
        environ = ChainMap(_given, os.environ) if environ is None else environ
        default = cls()
        return cls(
            clickhouse_password=_secret(environ, "CLICKHOUSE_PASSWORD"),
            connect_timeout=_seconds(environ, "DYNAMO2CH_CONNECT_TIMEOUT", default.connect_timeout),
            read_timeout=_seconds(environ, "DYNAMO2CH_READ_TIMEOUT", default.read_timeout),
            retry_seconds=_seconds(environ, "DYNAMO2CH_RETRY_SECONDS", default.retry_seconds),
            log_level=_choice(environ, "DYNAMO2CH_LOG_LEVEL", default.log_level, LOG_LEVELS),
            log_format=_choice(environ, "DYNAMO2CH_LOG_FORMAT", default.log_format, LOG_FORMATS),
            ca_cert=environ.get("DYNAMO2CH_CA_CERT", ""),
            client_cert=environ.get("DYNAMO2CH_CLIENT_CERT", ""),
            client_key=environ.get("DYNAMO2CH_CLIENT_KEY", ""),
            cloud_key_id=environ.get("CLICKHOUSE_CLOUD_KEY_ID", ""),
            cloud_key_secret=_secret(environ, "CLICKHOUSE_CLOUD_KEY_SECRET"),
        )


_given: dict[str, str] = {}


def give(name: str, value: str) -> None:
    """Let a variable have this value for `Settings.from_environment`, in this process only.

    Unlike a change of os.environ it does not reach child processes, so it may be a secret.
    """
    _given[name] = value


def _secret(environ: Mapping[str, str], name: str) -> Secret | None:
    """The variable `name`, or the text of the file that `name`_FILE names, or None."""
    if name in environ:
        return Secret(environ[name])
    path = environ.get(f"{name}_FILE")
    if not path:
        return None
    try:
        return Secret(Path(path).read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"{name}_FILE names {path}, which cannot be read: {reason}") from None


def _seconds(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name)
    if not text:
        return default
    if not re.fullmatch(r"[1-9][0-9]{0,4}", text):
        raise UsageError(f"{name}={text} is not a time-out", remedy="Give whole seconds, from 1 to 99999.")
    return int(text)


def _choice(environ: Mapping[str, str], name: str, default: str, choices: tuple[str, ...]) -> str:
    text = environ.get(name, "").lower()
    if not text:
        return default
    if text not in choices:
        raise UsageError(f"{name}={text} is not known", remedy=f"Choose one of {', '.join(choices)}.")
    return text
