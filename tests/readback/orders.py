"""What each column of `schemas/orders.yaml` must hold, written by hand from the comments in that file."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from readback import columns
from readback.columns import inner_at
from readback.plain import Item
from readback.proof import Check

KEY = ("customer", "order_no")

_CONSUMED = (
    *("customer", "order_no", "status", "channel", "coupon", "payment_id", "placed_at", "delivered_at", "total"),
    *("exchange_rate", "ledger_serial", "checksum", "weight", "revision", "gift", "express", "signature", "tags"),
    *("warehouses", "labels", "ship_to", "erp.export", "S", "parcel", "attributes", "stock", "lines", "route"),
    *("prefs", "history"),
)
"""The attributes of which every part has a column."""


def _parcel(item: Item) -> object:
    members = item["parcel"]["M"]
    assert set(members) <= {"length", "width", "height", "max load"}
    load = inner_at(members, "N", ("max load",))
    return {
        **{name: int(Decimal(members[name]["N"])) for name in ("length", "width", "height")},
        "max load": None if load is None else Decimal(load),
    }


def _read_parcel(stored: dict[str, Any]) -> object:
    load = stored["max load"]
    return {**stored, "max load": None if load is None else Decimal(load)}


def _lines(item: Item) -> object:
    return [_line(element["M"]) for element in inner_at(item, "L", ("lines",)) or []]


def _line(members: Item) -> object:
    assert set(members) <= {"sku", "qty", "price", "note", "options"}
    return {
        "sku": members["sku"]["S"],
        "qty": int(Decimal(members["qty"]["N"])),
        "price": Decimal(members["price"]["N"]),
        "note": inner_at(members, "S", ("note",)),
        "options": sorted(inner_at(members, "SS", ("options",)) or [], key=str.encode),
    }


def _read_lines(stored: list[dict[str, Any]]) -> object:
    return [{**line, "price": Decimal(line["price"])} for line in stored]


def checks() -> dict[str, Check]:
    """One check for each column, in the order of the file."""
    return {
        "customer": columns.text("customer"),
        "order_no": columns.integer("order_no"),
        "status": columns.text("status"),
        "channel": columns.text("channel"),
        "coupon": columns.text("coupon"),
        "payment_id": columns.identifier("payment_id"),
        "placed_at": columns.milliseconds("placed_at"),
        "delivered_at": columns.microseconds_of_text("delivered_at"),
        "total": columns.decimal("total"),
        "exchange_rate": columns.decimal("exchange_rate"),
        "ledger_serial": columns.integer("ledger_serial"),
        "checksum": columns.integer("checksum"),
        "weight": columns.nearest("weight"),
        "revision": columns.integer("revision", default=0),
        "gift": columns.boolean("gift"),
        "express": columns.boolean("express"),
        "signature": columns.binary("signature"),
        "tags": columns.strings("tags"),
        "warehouses": columns.integers("warehouses"),
        "labels": columns.binaries("labels"),
        "ship_to_name": columns.text("ship_to_name", "ship_to", "name"),
        "ship_to_city": columns.text("ship_to_city", "ship_to", "city"),
        "ship_to_zip": columns.text("ship_to_zip", "ship_to", "zip"),
        "ship_to_lat": columns.decimal("ship_to_lat", "ship_to", "geo", "lat"),
        "ship_to_lon": columns.decimal("ship_to_lon", "ship_to", "geo", "lon"),
        "erp_code": columns.text("erp_code", "erp.export", "item code"),
        "size": columns.text("size", "S"),
        "parcel": Check("parcel", _parcel, _read_parcel),
        "attributes": columns.text_map("attributes"),
        "stock": columns.integer_map("stock"),
        "lines": Check("lines", _lines, _read_lines),
        "route": columns.double_lists("route"),
        "prefs": columns.as_json("prefs"),
        "history": columns.as_json("history"),
        "version": columns.constant("version", 0),
        "is_deleted": columns.constant("is_deleted", 0),
        "_unmapped": columns.unmapped("_unmapped", *_CONSUMED),
    }
