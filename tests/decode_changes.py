"""Strategies for lines of incremental exports: whole, with keys that disagree, broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from decode_strategies import Members, Typed, mutations, names, number_texts, typed_values, writers
from decode_tables import items_for, tables
from hypothesis import strategies as st

if TYPE_CHECKING:
    from transformer.schema.table import Table

TIMES = ("0", "1795392154353205", "1795392154353205.0", "1.7e15", "9223372036854775807")
ODD_TIMES: tuple[Typed, ...] = (
    *(("N", text) for text in ("-1", "-0", "9223372036854775808", "1795392154353205.5", "1e-1", "x", "", "01")),
    *(("S", "1795392154353205"), ("NULL", True), ("BOOL", True), ("NS", ["1"]), ("M", []), ("B", b"1")),
)


@st.composite
def change_lines(draw: st.DrawFn, table: Table) -> bytes:
    """A line for the table; half of them are whole."""
    item = draw(items_for(table))
    keyed = [column.path[0] for column in table.key_columns]
    keys: Members = [(name, value) for name, value in item if name in keyed]
    time: Typed = ("N", draw(st.sampled_from(TIMES)))
    accident = draw(st.sampled_from((*("none",) * 6, "time", "keys", "envelope", "bytes", "bytes", "image")))
    extra: Members = []
    match accident:
        case "time":
            time = draw(st.sampled_from(ODD_TIMES) | typed_values(1))
        case "keys":
            keys = _other_keys(draw, keys)
        case "image":
            item = [(name, ("N", "1.0") if value == ("N", "1") else value) for name, value in item if name not in keyed]
        case "none":
            extra = draw(st.lists(st.tuples(names(), typed_values(1)), max_size=1))
    metadata: Members = [("WriteTimestampMicros", time), *(pair for pair in extra if pair[0] != "WriteTimestampMicros")]
    maps: list[tuple[str, Members]] = [("Metadata", metadata), ("Keys", keys)]
    if draw(st.booleans()):
        maps.append(("OldImage", draw(items_for(table))))
    if draw(st.sampled_from((True, True, False))):
        maps.append(("NewImage", item))
    if accident == "envelope":
        match draw(st.sampled_from(("lost", "twice", "unknown", "order"))):
            case "lost":
                del maps[draw(st.integers(0, len(maps) - 1))]
            case "twice":
                maps.append(draw(st.sampled_from(maps)))
            case "unknown":
                maps.insert(draw(st.integers(0, len(maps))), (draw(names()), item))
            case _:
                maps = draw(st.permutations(maps))
    line = draw(writers()).envelope(maps)
    return draw(mutations(line)) if accident == "bytes" else line.replace(b"\n", b"?")


def _other_keys(draw: st.DrawFn, keys: Members) -> Members:
    """Keys with one attribute more, less, or of another value or spelling."""
    at = draw(st.integers(0, len(keys)))
    match draw(st.sampled_from(("more", "less", "other", "spelling"))):
        case "less" if at < len(keys):
            return keys[:at] + keys[at + 1 :]
        case "other" if at < len(keys):
            return [*keys[:at], (keys[at][0], draw(typed_values(1))), *keys[at + 1 :]]
        case "spelling" if at < len(keys):
            name, (tag, text) = keys[at]
            respelled = (tag, f"{text}.0") if tag == "N" and str(text).isdigit() else ("N", draw(number_texts()))
            return [*keys[:at], (name, respelled), *keys[at + 1 :]]
        case _:
            return [*keys[:at], (draw(names()), draw(typed_values(1))), *keys[at:]]


@st.composite
def change_cases(draw: st.DrawFn, size: int = 4) -> tuple[Table, list[bytes]]:
    """A table and up to `size` lines for it."""
    table = draw(tables())
    return table, draw(st.lists(change_lines(table), min_size=1, max_size=size))
