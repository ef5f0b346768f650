"""Kinesis records made of items that may have any fault, and the two doors side by side: kernels and landing view."""

from __future__ import annotations

import base64
import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
from decode_compare import block
from decode_strategies import Writer

from transformer.decode.decoder import Decoder
from transformer.load.clickhouse import ClickHouse
from transformer.load.faults import Action
from transformer.schema import types as t
from transformer.schema.ddl import create_table
from transformer.schema.landing import LANDING_COLUMNS, Names, landing_statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from decode_strategies import Members, Typed

    from transformer.schema.table import Table

START = 1_795_392_000_000_000


def twice(value: Typed) -> Typed:
    """A typed value with every binary encoded in base64; writing it encodes once more, as records have it."""
    tag, content = value
    match tag:
        case "B":
            return tag, base64.b64encode(content)
        case "BS":
            return tag, [base64.b64encode(part) for part in content]
        case "L":
            return tag, [twice(part) for part in content]
        case "M":
            return tag, [(name, twice(part)) for name, part in content]
        case _:
            return value


def record(
    table: str, key: Members, image: Members | None, micros: int, *, writer: Writer, event: str = "", unit: int = 1
) -> bytes:
    """One stream record. event: INSERT or, without an image, REMOVE. unit: 1000 for millisecond precision."""

    def member(name: str, members: Members) -> str:
        inner = writer._map([(attribute, twice(value)) for attribute, value in members])
        return f'"{name}":{inner}'

    event = event or ("REMOVE" if image is None else "INSERT")
    parts = [f'"ApproximateCreationDateTime":{micros // unit}', member("Keys", key)]
    if image is not None:
        parts.append(member("NewImage", image))
    text = (
        f'{{"awsRegion":"eu-west-1","eventID":"e","eventName":"{event}","userIdentity":null,'
        f'"recordFormat":"application/json","tableName":{writer.string(table)},"dynamodb":{{{",".join(parts)},'
        f'"SizeBytes":26}},"eventSource":"aws:dynamodb"}}'
    )
    return text.encode("utf-8", "surrogatepass")


def recombined(pool: Sequence[Members], table: Table, count: int, seed: int) -> list[Members]:
    """The items of the pool, then as many more as are wanted, of their attributes, with keys of their own.

    Drawing thousands of items would take longer than decoding them.
    """
    draw = random.Random(seed)
    held: dict[str, list[Typed]] = {}
    for item in pool:
        for name, value in item:
            held.setdefault(name, []).append(value)
    keys = {column.path[0]: column.type for column in table.key_columns}
    items = list(pool)
    while len(items) < count:
        base = draw.choice(pool)
        number = str(len(items) + 1000)
        made = []
        for name, value in base:
            if name in keys:
                value = ("S" if keys[name] == t.String() else "N", number)
            elif draw.random() < 0.5:
                value = draw.choice(held[name])
            made.append((name, value))
        draw.shuffle(made)
        items.append(made)
    return items


class Doors:
    """One table behind both doors in the embedded engine, in tables that keep every row they are given."""

    def __init__(self, engine: ClickHouse, table: Table, name: str, *, depth: int = 6) -> None:
        self.engine = engine
        self.table = replace(table, name=name)
        self.kernel = replace(table, name=f"{name}_by_kernel")
        self.names = Names.of(name)
        self.statements = landing_statements(self.table, depth=depth)
        for one in (self.table, self.kernel):
            self.run(create_table(one).partition("\nENGINE")[0] + "\nENGINE = Memory")
        for statement in self.statements:
            self.run(statement.sql)

    def run(self, sql: str) -> None:
        """Run a statement without a result."""
        with self.engine._client(Action.QUERY) as client:
            client.command(sql)

    def land(self, records: Sequence[bytes]) -> None:
        """Insert records as a pipe does."""
        land(self.engine, self.names.landing, records)

    def decode(self, lines: Sequence[bytes], versions: Sequence[int]) -> None:
        """Insert what the kernels make of export lines."""
        data = b"\n".join(lines) + b"\n"
        decoder = Decoder(self.kernel, version=0)
        buffer = block(data)
        at = number = 0
        while at < len(data):
            step = decoder.step(buffer, at, len(data), max_items=1 << 30, max_bytes=1 << 40)
            rejected = {reject.line for reject in step.rejects}
            kept = [versions[number + i] for i in range(step.lines) if i not in rejected]
            place = step.batch.schema.get_field_index(self.table.version_column)
            field = step.batch.schema.field(place)
            batch = step.batch.set_column(place, field, pa.array(kept, pa.int64()))
            self.engine.insert(self.kernel, [batch], f"{self.kernel.name}-{number}")
            at += step.size
            number += step.lines

    def rows(self, table: Table) -> dict[int, bytes]:
        """The rows of a table by version."""
        version = f"`{table.version_column}`"
        found = self.engine.query(f"SELECT {version}, * FROM `{table.name}` ORDER BY 1 FORMAT TSV").splitlines()
        rows = {int(line.partition(b"\t")[0]): line for line in found}
        assert len(rows) == len(found)
        return rows

    def dead(self) -> list[tuple[int, str]]:
        """Sequence number and errors of the dead letters."""
        errors = "arrayStringConcat(errors, '; ')"
        sql = f"SELECT sequence_number, {errors} FROM `{self.names.dead}` ORDER BY 1, 2 FORMAT TSVRaw"
        lines = self.engine.query(sql).decode().splitlines()
        return [(int(number), errors) for number, errors in (line.split("\t", 1) for line in lines)]

    def dead_letters(self) -> list[str]:
        """The records among the dead letters."""
        found = self.engine.query(f"SELECT hex(raw) FROM `{self.names.dead}` FORMAT TSV").decode().split("\n")[:-1]
        return [bytes.fromhex(line).decode("utf-8", "replace") for line in found]

    def drop(self) -> None:
        """Leave nothing behind."""
        for name in (self.names.decode, self.names.rows, self.names.to_dead):
            self.run(f"DROP VIEW `{name}`")
        for name in (self.names.landing, self.names.stage, self.names.dead, self.table.name, self.kernel.name):
            self.run(f"DROP TABLE `{name}`")


def land(engine: ClickHouse, landing: str, records: Iterable[bytes]) -> None:
    """Insert records into a landing table, numbered from 0."""
    rows = b"".join(
        _text(text) + _text(str(number).encode()) + (1_795_392_000_000 + number).to_bytes(8, "little")
        for number, text in enumerate(records)
    )
    with engine._client(Action.INSERT) as client:
        client.raw_insert(landing, [name for name, _ in LANDING_COLUMNS], rows, fmt="RowBinary")


def _text(value: bytes) -> bytes:
    length, head = len(value), bytearray()
    while length > 127:
        head.append(length & 127 | 128)
        length >>= 7
    return bytes(head) + bytes([length]) + value
