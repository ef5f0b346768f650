"""The same proof at a size where chunks, merges and threads matter, and memory as the input grows."""

from __future__ import annotations

from pathlib import Path

import pytest
from readback import orders
from readback.proof import Command, prove

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

SCHEMA = Path(__file__).parents[2] / "schemas" / "orders.yaml"

LIMIT = 1.1
"""Memory for the larger input, in units of that for the smaller."""


def test_a_million_orders_are_read_back_exactly(command: Command) -> None:
    export = command.synth("export", "orders", items=1_000_000, files=4)
    record = command.load(export, SCHEMA)
    print(f"loaded in {record['seconds']} s")
    assert record["files_loaded"] == 4
    assert prove(command, export, "orders", orders.checks(), key=orders.KEY, pieces=20) == 1_000_000


@pytest.mark.parametrize(
    ("destination", "small", "large"),
    [
        pytest.param("null:", 200_000, 2_000_000, id="null"),
        # The engine takes its full share only when inserts have been the slowest stage for a while (on two cores: after
        # a million items or so), so growth with the input is looked for from there on.
        pytest.param("chdb:", 1_500_000, 4_500_000, id="chdb"),
    ],
)
def test_more_input_takes_no_more_memory(command: Command, destination: str, small: int, large: int) -> None:
    command.load(command.synth("first", "orders", items=1000, files=2), SCHEMA)  # may compile the kernels
    peaks = [_peak(command, items, destination) for items in (small, large)]
    assert peaks[1] <= LIMIT * peaks[0]


def _peak(command: Command, items: int, destination: str) -> int:
    """The most memory, in bytes, that loading so many takes; into a new database, which has no parts to merge yet."""
    alone = Command(command.folder / f"alone{items}")
    alone.folder.mkdir()
    export = alone.synth("export", "orders", items=items, files=2)
    url = alone.url if destination == "chdb:" else destination
    record = alone.load(export, SCHEMA, "--workers", "2", to=url)
    alone.drop()
    peak: int = record["peak_rss_bytes"]
    print(f"{destination} {items} items: {record['seconds']} s, peak {peak >> 20} MiB")
    return peak
