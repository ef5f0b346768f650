"""Logs: events with values, as text on a terminal and as one JSON object a line elsewhere, always on stderr.

This module imports nothing of the project but settings, so every room may use it.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING, TextIO

import structlog

from transformer.settings import hide

if TYPE_CHECKING:
    from collections.abc import Mapping

    from structlog.typing import Processor

# The driver warns of every error that it also raises; those are reported once, where they are handled.
_QUIET = ("clickhouse_connect", "urllib3", "botocore", "aiobotocore", "s3fs", "fsspec", "numba", "asyncio")


_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


class _Handler(logging.StreamHandler[TextIO]):
    """The one handler of this module, to be told from those of others."""

    def format(self, record: logging.LogRecord) -> str:
        return hide(super().format(record))


def configure(
    level: str = "info",
    form: str = "auto",
    *,
    stream: TextIO | None = None,
    environ: Mapping[str, str] | None = None,
) -> None:
    """Send every log event of this process to `stream` (default: stderr). May be called again; the last call counts.

    level: debug, info, warning or error. form: text, json, or auto, which is text when `stream` is a terminal.
    environ: where NO_COLOR and TERM are looked up, default this process's.
    Events of libraries take the same way; those of the network libraries only from `error` on.
    """
    stream = sys.stderr if stream is None else stream
    environ = os.environ if environ is None else environ
    render: list[Processor]
    if form == "json" or (form == "auto" and not stream.isatty()):
        render = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    else:
        colors = stream.isatty() and "NO_COLOR" not in environ and environ.get("TERM") != "dumb"
        # The plain formatter: the rich one prints the values of local variables, and those may be items or secrets.
        render = [structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)]

    handler = _Handler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)


def get(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module, called with its `__name__`."""
    # Bound here and not by a global default, which prints to stdout in a program that configures nothing.
    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(name),
        processors=[structlog.stdlib.filter_by_level, *_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    return logger
