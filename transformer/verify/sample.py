"""Some items, decoded by the slow twin and compared column by column with what the table says.

Costs: of at most SAMPLED_FILES data files the part up to the last item that was drawn; and one query for each
LOOKED_UP items, by key.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from transformer.decode.reference import Reference
from transformer.errors import InternalError, Verdict
from transformer.schema.expression import quote_identifier
from transformer.schema.layout import row_columns
from transformer.schema.proof import FINAL_SETTINGS
from transformer.source.blocks import LEAST_SLACK, open_blocks
from transformer.verify.result import SHOWN, Check, Finding
from transformer.verify.values import Shown, comparable, literal, members, readable, shown, shown_sql

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from transformer.decode.reference import Row
    from transformer.load.ledger import FinishedFile
    from transformer.schema.table import Table
    from transformer.source.export import DataFile, Export
    from transformer.verify.keys import Answers

SAMPLED_FILES = 16
LOOKED_UP = 500
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Drawn:
    """An item that was drawn: where it stands (line from 1), and what it becomes."""

    file: str
    line: int
    row: Row


def check_sample(
    destination: Answers,
    table: Table,
    export: Export,
    files: Mapping[str, FinishedFile],
    *,
    version: int,
    count: int,
    seed: int,
    storage_options: Mapping[str, object],
) -> Check:
    """Compare about `count` items, drawn with `seed`, with the rows of `table`.

    Raises what reading the export and asking the destination raises.
    """
    twin = Reference(table, version=version)
    drawn: list[Drawn] = []
    rejected = 0
    for file, indexes in draw(export.files, files, count, seed):
        for line, text in _lines(file, indexes, storage_options):
            judged = twin.judge(text)
            if isinstance(judged, Verdict):
                rejected += 1
            elif judged is not None:
                drawn.append(Drawn(file.name, line, judged))
    faults: list[str] = []
    overtaken = 0
    for begin in range(0, len(drawn), LOOKED_UP):
        part = drawn[begin : begin + LOOKED_UP]
        found, later = _look_up(destination, table, part, version)
        for item in part:
            key = _key(table, item.row)
            if key in later:
                overtaken += 1
            elif key not in found:
                faults.append(f"{item.file} line {item.line}: no row for {_named(table, item.row)}")
            else:
                faults += _differences(table, item, found[key])
    if faults:
        detail = f"{len(faults):,} values of {len(drawn):,} items differ"
        return Check("sample", Finding.MISMATCH, detail, faults[:SHOWN])
    beside = [f"{overtaken:,} changed or deleted since"] * bool(overtaken)
    beside += [f"{rejected:,} rejected, as when they were loaded"] * bool(rejected)
    note = f" ({', '.join(beside)})" if beside else ""
    return Check("sample", Finding.PROVED, f"{len(drawn) - overtaken:,} items are as they should be{note}")


def draw(
    files: Sequence[DataFile], loaded: Mapping[str, FinishedFile], count: int, seed: int
) -> Iterator[tuple[DataFile, list[int]]]:
    """Which items (by index, from 0) of which files: at most SAMPLED_FILES files, drawn by their numbers of items."""
    # Drawn so that anybody can draw the same again; nothing secret hangs on it.
    chance = random.Random(seed)  # noqa: S311
    sizes = {file.name: loaded[file.name].items for file in files if file.name in loaded}
    pool = sorted((file for file in files if sizes.get(file.name)), key=lambda file: file.name)
    chosen: list[DataFile] = []
    while pool and len(chosen) < min(SAMPLED_FILES, count):
        (file,) = chance.choices(pool, [sizes[file.name] for file in pool])
        pool.remove(file)
        chosen.append(file)
    left = count
    for number, file in enumerate(chosen):
        size = sizes[file.name]
        wanted = min(size, -(-left // (len(chosen) - number)))
        left -= wanted
        yield file, sorted(chance.sample(range(size), wanted))


def _lines(
    file: DataFile, indexes: Sequence[int], storage_options: Mapping[str, object]
) -> Iterator[tuple[int, bytes]]:
    """The items of `file` with these indexes: number of the line, from 1, and its bytes. Reads as far as needed."""
    waiting = list(reversed(indexes))
    line = item = 0
    with open_blocks(file, block_bytes=_BLOCK_BYTES, slack=LEAST_SLACK, storage_options=storage_options) as reader:
        for block in reader:
            texts = block.buffer[: block.size].tobytes().split(b"\n")
            if not texts[-1]:
                texts.pop()
            for text in texts:
                line += 1
                if not text.strip(b" \t\r"):
                    continue
                if item == waiting[-1]:
                    yield line, text
                    waiting.pop()
                    if not waiting:
                        return
                item += 1
            reader.recycle(block)


def _look_up(
    destination: Answers, table: Table, items: Sequence[Drawn], version: int
) -> tuple[dict[tuple[Shown, ...], list[Shown]], set[tuple[Shown, ...]]]:
    """The rows of these items by key, and the keys of those that were changed or deleted after the export."""
    columns = [column for column in row_columns(table) if comparable(column.type)]
    keys = ", ".join(map(quote_identifier, table.key))
    wanted = ", ".join(
        f"({', '.join(literal(column.type, item.row[column.name]) for column in table.key_columns)})" for item in items
    )
    where = f"({keys}) IN ({wanted})"
    if len(table.key) == 1:
        where = f"{keys} IN ({wanted})"
    name, newest = quote_identifier(table.name), quote_identifier(table.version_column)
    key_sql = ", ".join(shown_sql(column.type, quote_identifier(column.name)) for column in table.key_columns)
    row_sql = ", ".join(shown_sql(column.type, quote_identifier(column.name)) for column in columns)
    later = destination.records(
        f"SELECT DISTINCT tuple({key_sql}) AS k FROM {name} WHERE {where} AND {newest} > {version}"  # noqa: S608
    )
    rows = destination.records(
        f"SELECT tuple({key_sql}) AS k, tuple({row_sql}) AS r FROM {name} FINAL "  # noqa: S608 - all of it is quoted
        f"WHERE {where} AND {newest} <= {version}",
        settings=FINAL_SETTINGS,
    )
    found: dict[tuple[Shown, ...], list[Shown]] = {tuple(members(row["k"])): members(row["r"]) for row in rows}
    if len(found) != len(rows):
        raise InternalError(f"{name} FINAL has two rows of one key")
    return found, {tuple(members(row["k"])) for row in later}


def _key(table: Table, row: Row) -> tuple[Shown, ...]:
    return tuple(shown(column.type, row[column.name]) for column in table.key_columns)


def _named(table: Table, row: Row) -> str:
    """The key of an item, for people."""
    return ", ".join(
        f"{column.name} {readable(shown(column.type, row[column.name]), column.type)}" for column in table.key_columns
    )


def _differences(table: Table, item: Drawn, found: Sequence[Shown]) -> list[str]:
    """One sentence for each column in which the row is not what the item becomes."""
    faults = []
    columns = [column for column in row_columns(table) if comparable(column.type)]
    for column, value in zip(columns, found, strict=True):
        expected = shown(column.type, item.row[column.name])
        if value != expected:
            faults.append(
                f"{item.file} line {item.line}, {_named(table, item.row)}: column {column.name} is "
                f"{readable(value, column.type)}, not {readable(expected, column.type)}"
            )
    return faults
