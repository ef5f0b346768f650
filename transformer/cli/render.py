"""The one place that prints: results to stdout as text or JSON, errors to stderr."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import TYPE_CHECKING

from transformer.errors import Dynamo2chError, RetryError
from transformer.settings import hide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


def printable(text: str) -> str:
    """`text` with everything but line ends and tabs escaped that a terminal would act on or not show.

    Names of files, tables and attributes come from whoever wrote the export; printed as they are they could move the
    cursor, recolour, or turn around what stands on the line.
    """
    return "".join(c if c.isprintable() or c in "\n\t" else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    # Lone surrogates come from file names that are not UTF-8; no codec takes them.
    if "\ud800" <= character <= "\udfff":
        return f"\\u{ord(character):04x}"
    return character.encode("unicode_escape").decode("ascii")


def show(record: Mapping[str, object], text: Callable[[], str], *, as_json: bool) -> None:
    """Print a result: `record` as one JSON object, or what `text` makes of it. Raises RetryError as `_written` does."""
    line = json.dumps(record, ensure_ascii=True) if as_json else printable(text())
    with _written():
        sys.stdout.write(hide(line) + "\n")
        sys.stdout.flush()


def show_bytes(data: bytes) -> None:
    """Print the result of a query: byte for byte, for formats may be binary; escaped if stdout is a terminal.

    Raises RetryError as `_written` does.
    """
    with _written():
        if sys.stdout.isatty():
            sys.stdout.write(printable(data.decode("utf-8", "backslashreplace")))
        else:
            sys.stdout.buffer.write(data)
        sys.stdout.flush()


@contextlib.contextmanager
def _written() -> Iterator[None]:
    """Turn what goes wrong with standard output into an error of ours.

    A reader that has left (`| head`) is no error: it has what it wanted. Raises RetryError for anything else, such as a
    disk that is full.
    """
    try:
        yield
    except BrokenPipeError:
        forget_stdout()
    except OSError as error:
        forget_stdout()
        raise RetryError(
            f"the result cannot be written to standard output: {error.strerror or error}",
            remedy="Make room where it goes, then run the same command again.",
        ) from error


def forget_stdout() -> None:
    """Send what is left in the buffer of standard output nowhere, or the interpreter would complain when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def note(text: str) -> None:
    """Say something beside the result: a line on stderr."""
    sys.stderr.write(printable(text) + "\n")
    sys.stderr.flush()


def show_error(error: BaseException, *, debug: bool, where: str = "") -> None:
    """Print what went wrong: message and remedy, or for a bug one line; with `debug` the traceback before it.

    where: the data file it happened in, shown unless the message names it.
    """
    if debug:
        import traceback

        sys.stderr.write(printable(hide("".join(traceback.format_exception(error)))))
    if isinstance(error, Dynamo2chError):
        lines = [f"error: {error.message}"]
        if where and where not in error.message:
            lines.append(f"It happened in {where}.")
        lines.extend(getattr(error, "__notes__", ()))
        if error.remedy:
            lines.append(error.remedy)
    else:
        first = (str(error).splitlines() or [""])[0]
        lines = [f"error: this is a bug: {type(error).__name__}: {first}"]
        if not debug:
            lines.append("Run the same command with `dynamo2ch --debug ...` for a report that can be acted on.")
    sys.stderr.write("\n".join(printable(hide(line)).replace("\n", "\n  ") for line in lines) + "\n")
    sys.stderr.flush()
