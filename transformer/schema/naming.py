"""Names of columns for attributes: readable, usable in SQL without quotes, each once, the same in every run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LONGEST = 100
"""Characters of a name before its number: ClickHouse makes file names of column names."""

_RESERVED_WORDS = """
    all and any array as asc between by case cast create cross delete desc distinct drop else end
    except exists false final format from full global group having if ilike in inner insert intersect
    interval into is join left like limit not null offset on or order outer prewhere qualify right
    sample select set settings table then true union update using values when where with
"""
_RESERVED = frozenset(_RESERVED_WORDS.split())
"""Words that ClickHouse's parser may take for something else where a column's name stands without quotes."""


def column_names(paths: Sequence[tuple[str, ...]], taken: Iterable[str]) -> list[str]:
    """A name for each path, in the order of `paths`.

    The steps are joined by `_`; what is neither an ASCII letter nor a digit becomes `_`; a reserved word, and a name
    that another column has (`taken` are those of the version, the deletion mark and so on), gets `_` and a number
    from 2. Paths whose name needs no such change are served first, so that attribute `a_b` is column `a_b`, and a
    member b of a map `a` beside it becomes `a_b_2`, whatever their order.
    """
    used = {name.lower() for name in taken}
    names: dict[int, str] = {}
    plain = [index for index, path in enumerate(paths) if len(path) == 1 and _readable(path) == path[0]]
    for index in [*plain, *(index for index in range(len(paths)) if index not in set(plain))]:
        base = _readable(paths[index])
        name, number = base, 2
        # Compared without case: names that differ in case alone are a trap for whoever queries them.
        while name.lower() in used or name.lower() in _RESERVED:
            name, number = f"{base}_{number}", number + 1
        used.add(name.lower())
        names[index] = name
    return [names[index] for index in range(len(paths))]


def _readable(path: tuple[str, ...]) -> str:
    name = re.sub(r"[^A-Za-z0-9_]+", "_", "_".join(path)).strip("_") or "attribute"
    if path[0].startswith("_"):
        name = "_" + name
    return (f"_{name}" if name[0].isdigit() else name)[:LONGEST]
