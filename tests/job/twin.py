"""The slow twin with the face of a decoder, and small exports made by hand: what the tests of a run are built from."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transformer.decode.envelope import Envelope
from transformer.decode.position import redact
from transformer.decode.reference import Reference
from transformer.errors import Verdict
from transformer.schema.layout import arrow_schema, row_columns
from transformer.schema.table import Column, Table
from transformer.schema.table import Path as ItemPath
from transformer.schema.types import Array, DateTime64, Integer, Map, Nullable, Tuple, Type, parse


@dataclass
class TwinRejected:
    """One rejected line of a step."""

    line: int
    offset: int
    raw: bytes | None
    verdict: Verdict


@dataclass
class TwinStep:
    """What one step decoded."""

    size: int
    lines: int
    items: int
    batch: pa.RecordBatch
    rejects: list[TwinRejected] = field(default_factory=list)
    key_tags: tuple[frozenset[str], ...] = ()


class TwinDecoder:
    """`transformer.decode.decoder.Decoder`, slowly. before: called at the start of each step."""

    RECORDS = 512  # of a step at most, so that a chunk takes several

    def __init__(
        self,
        table: Table,
        *,
        version: int = 0,
        envelope: Envelope = Envelope.ITEM,
        before: Callable[[], None] = lambda: None,
    ) -> None:
        self._table = table
        self._keys = "Item" if envelope is Envelope.ITEM else "Keys"
        self._twin = Reference(table, version=version, envelope=envelope)
        self._before = before
        self.schema = arrow_schema(table)

    def step(self, buffer: npt.NDArray[np.uint8], begin: int, end: int, *, max_items: int, max_bytes: int) -> TwinStep:
        self._before()
        data = buffer[begin:end].tobytes()
        rows: list[dict[str, object]] = []
        rejects: list[TwinRejected] = []
        tags: list[set[str]] = [set() for _ in self._table.key]
        at = lines = items = 0
        while at < len(data) and items < min(max_items, self.RECORDS) and at < max_bytes:
            newline = data.find(b"\n", at)
            stop = len(data) if newline < 0 else newline
            line = data[at:stop]
            judged = self._twin.judge(line)
            if judged is not None:
                items += 1
            if isinstance(judged, Verdict):
                raw = redact(line, self._table.drop) if self._table.drop else line
                rejects.append(TwinRejected(lines, at, raw, judged))
            elif judged is not None:
                rows.append(judged)
                for seen, column in zip(tags, self._table.key_columns, strict=True):
                    seen.add(_tag(line, self._keys, column.path))
            at = min(stop + 1, len(data))
            lines += 1
        return TwinStep(at, lines, items, self._batch(rows), rejects, tuple(frozenset(seen) for seen in tags))

    def _batch(self, rows: Sequence[dict[str, object]]) -> pa.RecordBatch:
        arrays = [
            pa.array([_arrow(row[column.name], column.type) for row in rows], column.type.arrow)
            for column in row_columns(self._table)
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def _tag(line: bytes, image: str, path: ItemPath) -> str:
    """The type tag of the value at `path` of the map `image`."""
    members = json.loads(line)[image]
    for step in path[:-1]:
        members = members[step]["M"]
    return str(next(iter(members[path[-1]])))


def _arrow(value: object, type_: Type) -> object:
    """A value of the twin as pyarrow takes it for a column of this type."""
    if value is None:
        return None
    match type_:
        case Nullable(inner):
            return _arrow(value, inner)
        case Integer(bits, signed) if bits > 64:
            assert isinstance(value, int)
            return value.to_bytes(bits // 8, "little", signed=signed)
        case Array(element):
            assert isinstance(value, list)
            return [_arrow(each, element) for each in value]
        case Map(inner):
            assert isinstance(value, list)
            return [(key, _arrow(each, inner)) for key, each in value]
        case Tuple(members):
            assert isinstance(value, dict)
            return {name: _arrow(value[name], member) for name, member in members}
        case DateTime64():
            return value
        case _:
            return value.bytes if isinstance(value, uuid.UUID) else value


def users_table(**changes: object) -> Table:
    """The guide's table: id String, first_name and age that may be NULL."""
    columns = (
        Column("id", ("id",), parse("String")),
        Column("first_name", ("first_name",), parse("Nullable(String)")),
        Column("age", ("age",), parse("Nullable(Int16)")),
    )
    return Table(**{"name": "users", "key": ("id",), "columns": columns, **changes})  # type: ignore[arg-type]


def user(number: int, **changes: object) -> bytes:
    """One line of an export with a user."""
    item: dict[str, object] = {
        "id": {"S": f"user-{number:06}"},
        "first_name": {"S": f"sally {number}"},
        "age": {"N": str(number % 100)},
    }
    item.update(changes)
    return json.dumps({"Item": item}, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def bad_user(number: int) -> bytes:
    """One line that users_table rejects as OUT_OF_RANGE."""
    return user(number, age={"N": "40000"})


def write_export(
    folder: Path,
    files: Sequence[Iterable[bytes]],
    *,
    table: str = "users",
    counts: dict[int, int] | None = None,
    md5s: dict[int, str] | None = None,
) -> Path:
    """A full export of `files`, each an iterable of lines. counts, md5s: what the manifest says instead."""
    root = folder / "AWSDynamoDB" / "01795392000622-0a1b2c3d"
    (root / "data").mkdir(parents=True)
    entries, total = [], 0
    for number, lines in enumerate(files):
        plain = b"".join(lines)
        packed = gzip.compress(plain, mtime=0)
        name = f"{number:026}".translate(str.maketrans("0123456789", "abcdefghij")) + ".json.gz"
        (root / "data" / name).write_bytes(packed)
        items = sum(bool(line.strip(b" \t\r")) for line in plain.split(b"\n"))
        count = (counts or {}).get(number, items)
        total += count
        digest = hashlib.md5(packed).digest()
        entries.append(
            {
                "itemCount": count,
                "md5Checksum": (md5s or {}).get(number, base64.b64encode(digest).decode()),
                "etag": f"{hashlib.md5(digest).hexdigest()}-1",
                "dataFileS3Key": f"AWSDynamoDB/{root.name}/data/{name}",
            }
        )
    arn = f"arn:aws:dynamodb:eu-west-1:123456789012:table/{table}"
    summary = {
        "version": "2020-06-30",
        "exportArn": f"{arn}/export/{root.name}",
        "startTime": "2026-11-23T00:00:00.622Z",
        "endTime": "2026-11-23T00:06:08.984Z",
        "tableArn": arn,
        "tableId": "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
        "exportTime": "2026-11-23T00:00:00.622Z",
        "s3Bucket": "my-exports",
        "s3Prefix": None,
        "s3SseAlgorithm": "AES256",
        "s3SseKmsKeyId": None,
        "manifestFilesS3Key": f"AWSDynamoDB/{root.name}/manifest-files.json",
        "billedSizeBytes": 0,
        "itemCount": total,
        "outputFormat": "DYNAMODB_JSON",
    }
    write_manifest(root, "manifest-files", "".join(json.dumps(entry) + "\n" for entry in entries))
    write_manifest(root, "manifest-summary", json.dumps(summary))
    return root


def write_manifest(root: Path, name: str, text: str) -> None:
    """One manifest and its checksum."""
    (root / f"{name}.json").write_text(text)
    (root / f"{name}.md5").write_text(base64.b64encode(hashlib.md5(text.encode()).digest()).decode())
