"""Everything that is wrong with a schema file, found in one go and reported with line and remedy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from transformer.errors import SchemaError

if TYPE_CHECKING:
    from collections.abc import Mapping

Place = tuple[str | int, ...]
"""Where something stands in a schema file: keys and positions from the top inwards, such as ("columns", 2, "type")."""


@dataclass(slots=True)
class Faults:
    """Collects faults of one file.

    name: the file, as the messages call it.
    lines: the line (1-based) of each place that the file has.
    """

    name: str
    lines: Mapping[Place, int] = field(default_factory=dict)
    found: list[tuple[int, str, str]] = field(default_factory=list)

    def add(self, place: Place, what: str, remedy: str) -> None:
        """Note a fault at `place`; if the file does not have that place, at the nearest one around it."""
        while place and place not in self.lines:
            place = place[:-1]
        self.add_line(self.lines.get(place, 1), what, remedy)

    def add_line(self, line: int, what: str, remedy: str) -> None:
        """Note a fault at a line (1-based). what: the sentence; remedy: what to write instead."""
        if (line, what, remedy) not in self.found:
            self.found.append((line, what, remedy))

    def check(self) -> None:
        """Raise one SchemaError with all faults, in the order of their lines, if there are any."""
        if not self.found:
            return
        ordered = sorted(self.found, key=lambda fault: fault[0])
        head = [f"{self.name}:{line}: {what}\n  {remedy}" for line, what, remedy in ordered[:-1]]
        line, what, remedy = ordered[-1]
        raise SchemaError("\n".join([*head, f"{self.name}:{line}: {what}"]), remedy=remedy)
