"""Log lines: JSON for machines, text for people, and nothing where nobody asked."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest

from transformer import log


class Terminal(io.StringIO):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    before = root.level, root.handlers[:]
    yield
    root.setLevel(before[0])
    for handler in [handler for handler in root.handlers if handler not in before[1]]:
        root.removeHandler(handler)


def test_json_lines_where_no_terminal_is() -> None:
    stream = io.StringIO()
    log.configure(stream=stream)
    logger = log.get("transformer.x").bind(file="a")
    logger.info("file loaded", rows=3, path="ü\n")
    logger.debug("not shown")
    logging.getLogger("somebody.else").warning("said %s", "this")
    logging.getLogger("clickhouse_connect.driver").warning("not shown")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first.pop("timestamp").endswith("Z")
    assert first == {
        "event": "file loaded",
        "file": "a",
        "level": "info",
        "logger": "transformer.x",
        "path": "ü\n",
        "rows": 3,
    }
    assert (second["event"], second["level"], second["logger"]) == ("said this", "warning", "somebody.else")


@pytest.mark.parametrize(("environ", "colors"), [({}, True), ({"NO_COLOR": ""}, False), ({"TERM": "dumb"}, False)])
def test_text_on_a_terminal(environ: dict[str, str], colors: bool) -> None:
    stream = Terminal()
    log.configure(stream=stream, environ=environ)
    log.get("x").warning("file loaded", rows=3)
    assert "file loaded" in stream.getvalue()
    assert ("\x1b[" in stream.getvalue()) is colors


@pytest.mark.parametrize("form", ["text", "json"])
def test_exceptions_do_not_show_local_variables(form: str) -> None:
    stream = io.StringIO()
    log.configure(form=form, stream=stream)
    private = "sa" + "lly"
    try:
        raise ValueError(len(private))
    except ValueError:
        log.get("x").exception("failed")
    assert "ValueError: 5" in stream.getvalue()
    assert "sally" not in stream.getvalue()


def test_configuring_again_replaces() -> None:
    first, second = io.StringIO(), io.StringIO()
    log.configure(stream=first)
    log.configure("error", stream=second)
    log.get("x").warning("not shown")
    log.get("x").error("once")
    assert first.getvalue() == ""
    assert second.getvalue().count("once") == 1


def test_a_program_that_configures_nothing_has_a_clean_stdout() -> None:
    code = "from transformer import log; log.get('x').info('hidden'); log.get('x').warning('for stderr', rows=1)"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=True)
    assert finished.stdout == ""
