"""Dead letters once more: what the landing view could not decode exactly is decoded by the kernels, versions kept.

The view gives up earlier than the kernels do, at a depth that it does not reach; and schemas are mended.
A record is rewritten as the line of an incremental export that would tell the same change, and takes that door.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from transformer.decode.decoder import SLACK, Decoder
from transformer.decode.envelope import Envelope
from transformer.errors import ExitCode
from transformer.schema.expression import quote_identifier
from transformer.schema.landing import Names
from transformer.schema.table import VersionFrom

if TYPE_CHECKING:
    from transformer.load.destination import Destination
    from transformer.schema.table import Table

_FIRST_US = 100_000_000_000_000
_OLDEST_MS = 100_000_000_000
_LATEST = (1 << 63) - 1
_AT_A_TIME = 1000


class _Pairs(list[tuple[str, object]]):
    """A JSON object as it was written: names that stand twice stay, for the kernel to refuse them."""


class _UnreadableError(Exception):
    """The letter holds no change of the table."""


@dataclass(slots=True)
class Replayed:
    """letters: how many there were. rows: those that became rows, and are letters no more. remaining: the others."""

    table: str
    letters: int = 0
    rows: int = 0
    remaining: int = 0

    @property
    def exit_code(self) -> ExitCode:
        """INPUT when letters remain."""
        return ExitCode.INPUT if self.remaining else ExitCode.DONE

    def to_dict(self) -> dict[str, object]:
        """The result as JSON."""
        return asdict(self)


def replay_dead_letters(table: Table, destination: Destination, *, source_table: str = "") -> Replayed:
    """Decode the dead letters of a table with the kernels, insert what fits, and delete those letters.

    source_table: the DynamoDB table that records name, by default as `table`.
    A row is inserted before its letter goes: after an interruption both are there, and the next replay gives the same
    row with the same version. Letters that arrive meanwhile are left for the next time.
    """
    dead = quote_identifier(Names.of(table.name).dead)
    destination.ensure_table(table)
    until = destination.query(f"SELECT toString(max(at)) FROM {dead} FORMAT TSVRaw").decode().strip()  # noqa: S608
    found = destination.query(
        f"SELECT hex(raw), sipHash64(raw) FROM {dead} WHERE at <= '{until}' ORDER BY at, sequence_number FORMAT TSV"  # noqa: S608
    ).decode()
    letters = [(bytes.fromhex(raw), mark) for raw, mark in (line.split("\t") for line in found.splitlines())]
    result = Replayed(table.name, letters=len(letters))
    for begin in range(0, len(letters), _AT_A_TIME):
        done: set[str] = set()
        lines: dict[Envelope, list[tuple[bytes, str]]] = {Envelope.CHANGE: [], Envelope.ITEM: []}
        for raw, mark in letters[begin : begin + _AT_A_TIME]:
            try:
                envelope, line = as_line(raw, source_table or table.name)
            except _UnreadableError:
                continue
            if envelope is Envelope.CHANGE or table.version_from is VersionFrom.ZERO:
                lines[envelope].append((line, mark))
        for envelope, those in lines.items():
            if those:
                done |= _insert(table, destination, envelope, those)
        if done:
            marks = ", ".join(sorted(done))
            those_done = f"at <= '{until}' AND sipHash64(raw) IN ({marks})"
            destination.command(f"ALTER TABLE {dead} DELETE WHERE {those_done} SETTINGS mutations_sync = 2")
    result.remaining = int(
        destination.query(f"SELECT count() FROM {dead} WHERE at <= '{until}' FORMAT TSV")  # noqa: S608 - ours
    )
    result.rows = result.letters - result.remaining
    return result


def _insert(table: Table, destination: Destination, envelope: Envelope, lines: list[tuple[bytes, str]]) -> set[str]:
    """Decode lines and insert the rows; returns the marks of those that became rows."""
    data = b"".join(line + b"\n" for line, _ in lines)
    buffer = np.zeros(len(data) + SLACK, np.uint8)
    buffer[: len(data)] = np.frombuffer(data, np.uint8)
    decoder = Decoder(table, version=0, envelope=envelope)
    done: set[str] = set()
    at = number = 0
    while at < len(data):
        step = decoder.step(buffer, at, len(data), max_items=1 << 30, max_bytes=1 << 40)
        destination.insert(table, [step.batch], f"dead-letters-{secrets.token_hex(8)}")
        rejected = {reject.line for reject in step.rejects}
        done |= {lines[number + line][1] for line in range(step.lines) if line not in rejected}
        at, number = at + step.size, number + step.lines
    return done


def as_line(raw: bytes, source_table: str) -> tuple[Envelope, bytes]:
    """The export line that says what a dead letter says. Raises _UnreadableError if it says nothing about the table."""
    try:
        record = json.loads(raw, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        raise _UnreadableError from None
    if isinstance(record, _Pairs) and [name for name, _ in record] == ["Item"]:
        return Envelope.ITEM, raw.replace(b"\n", b" ").replace(b"\r", b" ")
    body = _member(record, "dynamodb")
    event = _member(record, "eventName")
    time = _member(body, "ApproximateCreationDateTime")
    if _member(record, "tableName") != source_table or event not in ("INSERT", "MODIFY", "REMOVE"):
        raise _UnreadableError
    if type(time) is not int or not _OLDEST_MS <= time <= _LATEST:
        raise _UnreadableError
    version = time * 1000 if time < _FIRST_US else time
    parts = [f'"Metadata":{{"WriteTimestampMicros":{{"N":"{version}"}}}}', f'"Keys":{_once(_member(body, "Keys"))}']
    if event != "REMOVE":
        parts.append(f'"NewImage":{_once(_member(body, "NewImage"))}')
    try:
        return Envelope.CHANGE, f"{{{','.join(parts)}}}".encode()
    except UnicodeEncodeError:  # a lone surrogate
        raise _UnreadableError from None


def _member(value: object, name: str) -> object:
    """The one member of an object with this name."""
    found = [part for key, part in value if key == name] if isinstance(value, _Pairs) else []
    if len(found) != 1:
        raise _UnreadableError
    return found[0]


def _once(image: object) -> str:
    """A map of attributes as JSON, with binaries encoded once instead of twice."""
    if not isinstance(image, _Pairs):
        raise _UnreadableError
    return "{" + ",".join(f"{_text(name)}:{_typed(value)}" for name, value in image) + "}"


def _typed(value: object) -> str:
    if not isinstance(value, _Pairs):
        raise _UnreadableError
    return "{" + ",".join(f"{_text(tag)}:{_content(tag, inner)}" for tag, inner in value) + "}"


def _content(tag: str, inner: object) -> str:
    match tag, inner:
        case "M", _Pairs():
            return _once(inner)
        case "L", list() if not isinstance(inner, _Pairs):
            return "[" + ",".join(map(_typed, inner)) + "]"
        case "B", str():
            return _text(_decoded(inner))
        case "BS", list() if not isinstance(inner, _Pairs):
            return "[" + ",".join(_text(_decoded(part)) for part in inner) + "]"
        case ("S" | "N", str()) | ("BOOL" | "NULL", bool()):
            return json.dumps(inner, ensure_ascii=False)
        case (("SS" | "NS"), list()) if all(isinstance(part, str) for part in inner):
            return json.dumps(inner, ensure_ascii=False, separators=(",", ":"))
        case _:
            raise _UnreadableError


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _decoded(text: object) -> str:
    """The base64 text inside a base64 text."""
    try:
        given = str(text).encode("ascii")
        inner = base64.b64decode(given, validate=True)
        if base64.b64encode(inner) != given:
            raise _UnreadableError
        return inner.decode("ascii")
    except (UnicodeError, binascii.Error):
        raise _UnreadableError from None
