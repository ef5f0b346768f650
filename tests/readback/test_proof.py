"""The proof itself: it must fail as soon as a table is not exactly the export."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from readback import orders
from readback.proof import Command, prove

pytestmark = pytest.mark.timeout(240)

SCHEMA = Path(__file__).parents[2] / "schemas" / "orders.yaml"


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Command, Path]]:
    """The command with a database of 400 orders, and the export that they came from."""
    command = Command(tmp_path_factory.mktemp("loaded"))
    export = command.synth("export", "orders", items=400, files=1)
    command.load(export, SCHEMA)
    yield command, export
    command.drop()


ORDERS = "SELECT * FROM orders"

CHANGES = {
    "the last row is missing": (f"{ORDERS} ORDER BY customer, order_no LIMIT 399", "no row for"),
    "rows in the middle are missing": (f"{ORDERS} WHERE order_no <> 1002", "next item .* next row"),
    "rows are doubled": (f"{ORDERS} UNION ALL {ORDERS} WHERE order_no = 1002", "next item .* next row"),
    "a row is added": (f"{ORDERS} UNION ALL (SELECT * REPLACE ('x' AS customer) FROM orders LIMIT 1)", "no item for"),
    "a moment is off by a millisecond": (
        "addMilliseconds(placed_at, order_no = 1003) AS placed_at",
        "column placed_at",
    ),
    "a double is off by a bit": ("reinterpretAsFloat64(reinterpretAsUInt64(weight) + 1) AS weight", "column weight"),
    "the 38th digit is off": ("exchange_rate + toDecimal256('1e-38', 38) AS exchange_rate", "column exchange_rate"),
    "NULL became empty": ("ifNull(coupon, '') AS coupon", "column coupon"),
    "a list is in another order": ("arrayReverse(lines) AS lines", "column lines"),
    "an unmapped attribute is lost": (
        "mapFilter((k, v) -> k <> 'campaign', _unmapped) AS _unmapped",
        "column _unmapped",
    ),
}
"""What is selected from the true table, or how one column of it is replaced; and what the proof must say."""


@pytest.mark.parametrize(("change", "message"), CHANGES.values(), ids=CHANGES)
def test_a_table_that_is_not_the_export_is_noticed(loaded: tuple[Command, Path], change: str, message: str) -> None:
    command, export = loaded
    rows = change if change.startswith("SELECT") else f"SELECT * REPLACE ({change}) FROM orders"
    command.execute(f"CREATE OR REPLACE TABLE changed ENGINE = MergeTree ORDER BY tuple() AS {rows}")
    with pytest.raises(AssertionError, match=message):
        prove(command, export, "changed", orders.checks(), key=orders.KEY)


def test_a_column_without_a_check_is_noticed(loaded: tuple[Command, Path]) -> None:
    command, export = loaded
    checks = orders.checks()
    del checks["size"]
    with pytest.raises(AssertionError):
        prove(command, export, "orders", checks, key=orders.KEY)
