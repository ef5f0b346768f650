"""Names of columns and tables made from names that DynamoDB allows: readable, the same every time, never twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_LONGEST = 100
"""Characters of a made name. ClickHouse makes file names of column names, and attribute names may have 64 KB."""

_WORDS_TEXT = """
all and any array as asc between by case cast create cross date delete desc distinct div drop else
end except exists false final from full global group having if ilike in inf inner insert intersect
interval into is join left like limit mod nan not null offset on or order outer prewhere qualify
right sample select set settings table then timestamp to true union update using values when where
window with _row_exists _block_number _block_offset
"""
_WORDS = frozenset(_WORDS_TEXT.split())
"""Words that ClickHouse reads as something else, at least in some places, where a column's name stands unquoted."""


def readable(steps: Sequence[str]) -> str:
    """The steps of a path as one name: `address.geo.lat` becomes `address_geo_lat`.

    Letters and digits of any script stay, every other character becomes `_`; a word of SQL gets `_` at its end, a
    name that begins with a digit gets it in front.
    """
    joined = "_".join(steps)[:_LONGEST]
    name = "".join(character if character.isalnum() else "_" for character in joined)
    if not name.strip("_"):
        name = f"attribute{name}"
    if name[0].isdigit():
        name = f"_{name}"
    return f"{name}_" if name.lower() in _WORDS else name


class Names:
    """Hands out names, each once."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)

    def give(self, steps: Sequence[str]) -> str:
        """A name for a path: the readable one, with a number behind it if that is taken (`a_b_2`)."""
        plain = name = readable(steps)
        number = 1
        while name in self._taken:
            number += 1
            name = f"{plain}_{number}"
        self._taken.add(name)
        return name


def table_name(name: str) -> str:
    """The name of a DynamoDB table as ClickHouse takes it without quotes: letters, digits and `_`."""
    return readable([name])
