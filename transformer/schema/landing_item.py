"""SQL about whole items: what `drop` takes out of them, and which attributes went into columns as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from transformer.schema.expression import quote_string
from transformer.schema.landing_text import NONE, one_tag
from transformer.schema.landing_value import is_scalar
from transformer.schema.types import Array, Map, Tuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformer.schema.landing_text import Expressions
    from transformer.schema.table import Path
    from transformer.schema.types import Type

Reader = tuple["Path", "Type"]
"""A column, or a part of one, seen from some value: the steps still to go, and the type it takes there."""

LISTS_IN_LISTS = 3
"""Lists inside one another through which a path of `drop` is followed."""

OPAQUE = '{"dropped":true}'
"""Stands for a value from which a path could not be dropped: no value, so its record becomes a dead letter."""


@dataclass(frozen=True, slots=True)
class Drops:
    """The paths that must never be stored."""

    sql: Expressions
    paths: Sequence[Path]

    def image(self, image: str) -> str:
        """A map of attributes without what is dropped. image: SQL of the map."""
        if not self.paths:
            return image
        whole = [path[0] for path in self.paths if len(path) == 1]
        parts: dict[str, list[Path]] = {}
        for path in self.paths:
            if len(path) > 1 and path[0] not in whole:
                parts.setdefault(path[0], []).append(path[1:])
        if whole:
            names = ", ".join(map(quote_string, whole))
            image = f"mapFilter(({self._k()}, {self._k(1)}) -> {self._k()} NOT IN ({names}), {image})"
        for name, below in parts.items():
            key, value = self.sql.name(), self.sql.name()
            image = (
                f"mapApply(({key}, {value}) -> ({key}, if({key} = {quote_string(name)}, "
                f"{self._below(value, below, LISTS_IN_LISTS)}, {value})), {image})"
            )
        return image

    def _k(self, number: int = 0) -> str:
        return f"{self.sql.prefix}drop_{number}"

    def _below(self, value: str, paths: Sequence[Path], lists: int) -> str:
        """A raw value without what `paths` names below it. value: name."""
        gone = [path[0] for path in paths if len(path) == 1]
        deeper: dict[str, list[Path]] = {}
        for path in paths:
            if len(path) > 1 and path[0] not in gone:
                deeper.setdefault(path[0], []).append(path[1:])

        def entry(key: str, inner: str) -> str:
            cases = "".join(
                f"{key} = {quote_string(name)}, {self._below(inner, below, LISTS_IN_LISTS)}, "
                for name, below in deeper.items()
            )
            kept = f"multiIf({cases}{inner})" if cases else inner
            return f"concat({self.sql.quoted(key)}, ':', {kept})"

        entries = f"JSONExtractKeysAndValuesRaw({value}, 'M')"
        if gone:
            pair = self.sql.name()
            names = ", ".join(map(quote_string, gone))
            entries = f"arrayFilter({pair} -> tupleElement({pair}, 1) NOT IN ({names}), {entries})"
        in_map = self.sql.let(
            [entries], lambda held: self.sql.each([f"tupleElement({held}, 1)", f"tupleElement({held}, 2)"], entry)
        )
        if lists:
            in_list = self.sql.each(
                [f"JSONExtractArrayRaw({value}, 'L')"], lambda inner: self._below(inner, paths, lists - 1)
            )
            listed = f"concat('{{\"L\":[', arrayStringConcat({in_list}, ','), ']}}')"
        else:
            listed = quote_string(OPAQUE)
        return (
            f'multiIf(NOT match({value}, \'^\\\\{{"(M":\\\\{{"|L":\\\\[[^\\\\]])\'), {value}, '
            f"NOT {one_tag(value)}, {quote_string(OPAQUE)}, startsWith({value}, '{{\"M\"'), "
            f"concat('{{\"M\":{{', arrayStringConcat({in_map}, ','), '}}}}'), {listed})"
        )


def is_total(readers: Sequence[Reader]) -> bool:
    """Whether whatever such columns take of a value, without a fault, is the whole of it."""
    at = [type_ for path, type_ in readers if not path]
    if any(is_scalar(type_) for type_ in at):
        return True
    if len(at) < len(readers) or any(isinstance(type_, Tuple) for type_ in at):
        return False
    elements = [((), type_.element) for type_ in at if isinstance(type_, Array)]
    values = [((), type_.value) for type_ in at if isinstance(type_, Map)]
    return bool(at) and all(is_total(inner) for inner in (elements, values) if inner)


def consumed(sql: Expressions, readers: Sequence[Reader], value: str) -> str:
    """Whether all that a raw value holds goes into columns, given those that take something at it or below it.

    value: name; the value is there. What a column would refuse may give any answer.
    """
    if not readers:
        return "0"
    if is_total(readers):
        return "1"
    at = [type_ for path, type_ in readers if not path]
    others: list[Reader] = [((), type_.value) for type_ in at if isinstance(type_, Map)]
    elements: list[Reader] = [((), type_.element) for type_ in at if isinstance(type_, Array)]
    named: dict[str, list[Reader]] = {}
    for path, type_ in readers:
        if path:
            named.setdefault(path[0], []).append((path[1:], type_))
    for type_ in at:
        if isinstance(type_, Tuple):
            for name, inner in type_.members:
                named.setdefault(name, []).append(((), inner))

    def member(key: str, inner: str) -> str:
        totals = [name for name, below in named.items() if is_total([*below, *others])]
        cases = [f"{key} IN ({', '.join(map(quote_string, totals))}), 1"] if totals else []
        cases += [
            f"{key} = {quote_string(name)}, {consumed(sql, [*below, *others], inner)}"
            for name, below in named.items()
            if name not in totals
        ]
        rest = consumed(sql, others, inner)
        return f"multiIf({', '.join(cases)}, {rest})" if cases else rest

    in_map = sql.let(
        [f"JSONExtractKeysAndValuesRaw({value}, 'M')"],
        lambda held: sql.each([f"tupleElement({held}, 1)", f"tupleElement({held}, 2)"], member, "arrayAll"),
    )
    in_list = (
        sql.each([f"JSONExtractArrayRaw({value}, 'L')"], lambda inner: consumed(sql, elements, inner), "arrayAll")
        if elements
        else f"startsWith({value}, '{{\"L\":[]')"
    )
    return (
        f"multiIf({value} IN {NONE}, 1, startsWith({value}, '{{\"M\":'), {in_map}, "
        f"startsWith({value}, '{{\"L\":'), {in_list}, 1)"
    )
