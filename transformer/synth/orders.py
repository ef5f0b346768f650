"""Shape `orders`: the nested table of `schemas/orders.yaml`, all ten types, many attributes optional.

Key: customer (S) and order_no (N). The orders of a customer stand together, as item collections do, numbered upwards.
"""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from transformer.synth.rows import Fresh, Pool, Rows, pick, random_digits, random_hex, slices, spread
from transformer.synth.values import BinarySet, NumberSet, StringSet
from transformer.synth.words import CITIES, FIRST_NAMES, LAST_NAMES, WORDS

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from transformer.synth.rows import Block, Knobs, Source

BLOCK_ITEMS = 1024
DISTINCT = 512  # values in most pools: far more than the items in deflate's window, few enough to build at once
_CUSTOMER_BITS = 44
_ORDERS_PER_CUSTOMER = 4  # on average
_EPOCH_MS = 1_767_225_600_000  # 2026-01-01


def orders(knobs: Knobs) -> Block:
    """The generator of this shape."""
    rows = Rows(knobs, "orders", order_sources(knobs))

    def block(index: int) -> list[bytes]:
        stream = knobs.stream("orders", index)
        return rows.draw(stream, order_keys(knobs, stream, index * BLOCK_ITEMS, BLOCK_ITEMS))

    return block


def order_keys(knobs: Knobs, stream: np.random.Generator, first: int, count: int) -> list[bytes]:
    """The key members of `count` orders. A customer is numbered by its first order, so no two blocks share one."""
    starts = stream.random(count) < 1 / _ORDERS_PER_CUSTOMER
    starts[0] = True
    at = np.arange(count)
    first_of = np.maximum.accumulate(np.where(starts, at, 0))
    customers = spread(first, count, _CUSTOMER_BITS, knobs.entropy, knobs.seed)[first_of]
    return [
        b'"customer":{"S":"CUST#%011x"},"order_no":{"N":"%d"}' % pair
        for pair in zip(customers.tolist(), (1001 + at - first_of).tolist(), strict=True)
    ]


def order_sources(knobs: Knobs) -> list[Source]:
    """Everything but the key."""
    chance = knobs.chance("orders")

    def pool(name: str, value: Callable[[random.Random], object], *, missing: float = 0.0, null: float = 0.0) -> Source:
        return Pool(knobs, name, [value(chance) for _ in range(DISTINCT)], missing=missing, null=null)

    return [
        Pool(knobs, "status", ("new", "paid", "packed", "shipped", "shipped", "shipped", "returned")),
        Pool(knobs, "channel", ("web", "web", "web", "app", "app", "store", "phone")),
        pool("coupon", lambda c: f"{c.choice(WORDS).upper()}{c.randrange(5, 50, 5)}", missing=0.8, null=0.03),
        Fresh(knobs, payment_ids),
        Fresh(knobs, _placed_at),
        Fresh(knobs, _delivered_at, missing=0.4),
        Fresh(knobs, _totals),
        Fresh(knobs, _exchange_rates, missing=0.9),
        Fresh(knobs, _ledger_serials, missing=0.95),
        Fresh(knobs, _checksums, missing=0.97),
        pool("weight", lambda c: Decimal(c.randrange(1, 40_000)) / 1000, missing=0.3, null=0.02),
        Pool(knobs, "revision", list(range(1, 9)), missing=0.5),
        Pool(knobs, "gift", (False, False, False, False, True)),
        Pool(knobs, "express", (True, False), missing=0.5, null=0.05),
        Fresh(knobs, _signatures, missing=0.3),
        pool("tags", lambda c: StringSet(c.sample(WORDS, c.randrange(1, 4))), missing=0.6),
        pool("warehouses", lambda c: NumberSet(c.sample(range(100, 400), c.randrange(1, 4))), missing=0.7),
        pool("labels", _labels, missing=0.95),
        pool("ship_to", _ship_to),
        pool("erp.export", lambda c: {"item code": f"ERP-{c.randrange(10**6):06d}"}, missing=0.9),
        pool("S", lambda c: c.choice(("XS", "S", "M", "L", "XL")), missing=0.9),
        pool("parcel", _parcel),
        pool(
            "attributes",
            lambda c: {name: c.choice(WORDS) for name in c.sample(("colour", "style", "season", "gift wrap"), 2)},
            missing=0.7,
        ),
        pool("stock", lambda c: {f"W{c.randrange(100, 400)}": c.randrange(500) for _ in range(2)}, missing=0.9),
        pool("lines", lambda c: [_line(c) for _ in range(c.choice((1, 1, 1, 2, 2, 3)))], null=0.01),
        pool("route", lambda c: [[_degrees(c, 180), _degrees(c, 90)] for _ in range(2)], missing=0.93),
        pool("prefs", _prefs, missing=0.85, null=0.02),
        pool("history", _history, missing=0.9),
        # No column of schemas/orders.yaml: these stay in _unmapped.
        pool("campaign", lambda c: f"{c.choice(WORDS)}-{c.randrange(2020, 2027)}", missing=0.97),
        pool("audit", lambda c: {"by": c.choice(FIRST_NAMES), "ok": True, "codes": NumberSet([1, 2])}, missing=0.99),
    ]


def payment_ids(stream: np.random.Generator, count: int) -> list[bytes]:
    """UUIDs (version 4), one in four in upper case."""
    digits = random_hex(stream, count, 30)
    variants = pick((b"8", b"9", b"a", b"b"), stream.integers(0, 4, count))
    upper = (stream.random(count) < 0.25).tolist()
    return [
        b',"payment_id":{"S":"%b-%b-4%b-%b%b-%b"}'
        % ((d := h.upper() if up else h)[:8], d[8:12], d[12:15], v.upper() if up else v, d[15:18], d[18:])
        for h, v, up in zip(digits, variants, upper, strict=True)
    ]


def _placed_at(stream: np.random.Generator, count: int) -> list[bytes]:
    moments = _EPOCH_MS + stream.integers(0, 28_000_000_000, count)
    return [b',"placed_at":{"N":"%d"}' % moment for moment in moments.tolist()]


def _delivered_at(stream: np.random.Generator, count: int) -> list[bytes]:
    moments = np.datetime64("2026-01-01", "us") + stream.integers(0, 28_000_000_000_000, count)
    zones = pick((b"Z", b"Z", b"+00:00", b"+01:00", b"-05:30"), stream.integers(0, 5, count))
    # Seconds, milliseconds or microseconds: all that DateTime64(6) holds.
    lengths = stream.choice([19, 23, 26], count).tolist()
    text = np.datetime_as_string(moments, unit="us").tolist()
    return [
        b',"delivered_at":{"S":"%b%b"}' % (moment[:length].encode(), zone)
        for moment, length, zone in zip(text, lengths, zones, strict=True)
    ]


def _totals(stream: np.random.Generator, count: int) -> list[bytes]:
    cents = stream.integers(100, 90_000, count)
    return [b',"total":{"N":"%b"}' % _hundredths(number) for number in cents.tolist()]


def _hundredths(number: int) -> bytes:
    """A non-negative number of hundredths in plain notation."""
    whole, part = divmod(number, 100)
    if part == 0:
        return b"%d" % whole
    return b"%d.%d" % (whole, part // 10) if part % 10 == 0 else b"%d.%02d" % (whole, part)


def _exchange_rates(stream: np.random.Generator, count: int) -> list[bytes]:
    """One digit before the point and up to 37 after it, the last of them never 0."""
    digits = random_digits(stream, count, 36)
    ends = stream.integers(1, 10, count).tolist()
    return [b',"exchange_rate":{"N":"%d.%b%d"}' % (end % 3, d, end) for d, end in zip(digits, ends, strict=True)]


def _ledger_serials(stream: np.random.Generator, count: int) -> list[bytes]:
    """Integers of 38 digits, half of them negative, all within Int128."""
    digits = random_digits(stream, count, 37)
    signs = pick((b"", b"-"), stream.integers(0, 2, count))
    return [b',"ledger_serial":{"N":"%b1%b"}' % pair for pair in zip(signs, digits, strict=True)]


def _checksums(stream: np.random.Generator, count: int) -> list[bytes]:
    """38 digits and 2 to 39 zeros: beyond 128 bits, and below 2^256 with at most 77 digits."""
    digits = random_digits(stream, count, 37)
    zeros = stream.integers(2, 40, count).tolist()
    return [b',"checksum":{"N":"7%b%b"}' % (d, b"0" * many) for d, many in zip(digits, zeros, strict=True)]


def _signatures(stream: np.random.Generator, count: int) -> list[bytes]:
    """64 random bytes each, as an Ed25519 signature has."""
    return [b',"signature":{"B":"%b"}' % base64.b64encode(part) for part in slices(stream.bytes(64 * count), 64)]


def _labels(chance: random.Random) -> BinarySet:
    return BinarySet(chance.randbytes(4) + bytes([i]) for i in range(chance.randrange(1, 3)))


def _ship_to(chance: random.Random) -> dict[str, object]:
    address: dict[str, object] = {
        "name": f"{chance.choice(FIRST_NAMES).title()} {chance.choice(LAST_NAMES)}",
        "city": chance.choice(CITIES),
    }
    if chance.random() < 0.8:
        address["zip"] = f"{chance.randrange(100_000):05d}"
    if chance.random() < 0.5:
        address["geo"] = {"lat": _degrees(chance, 90), "lon": _degrees(chance, 180)}
    return address


def _degrees(chance: random.Random, limit: int) -> Decimal:
    return Decimal(chance.randrange(-limit * 10**6, limit * 10**6)) / 10**6


def _parcel(chance: random.Random) -> dict[str, object]:
    parcel: dict[str, object] = {name: chance.randrange(50, 1200) for name in ("length", "width", "height")}
    if chance.random() < 0.2:
        parcel["max load"] = Decimal(chance.randrange(1, 100_000)) / 1000
    return parcel


def _line(chance: random.Random) -> dict[str, object]:
    line: dict[str, object] = {
        "sku": f"{chance.choice(WORDS).upper()[:3]}-{chance.randrange(10_000):04d}",
        "qty": chance.randrange(1, 12),
        "price": Decimal(chance.randrange(99, 50_000)) / 100,
    }
    luck = chance.random()
    if luck < 0.05:
        line["note"] = f'say "{chance.choice(WORDS)}"'
    elif luck < 0.1:
        line["note"] = None
    if chance.random() < 0.2:
        line["options"] = StringSet(chance.sample(WORDS, 2))
    return line


def _prefs(chance: random.Random) -> dict[str, object]:
    return {
        "lang": chance.choice(("en", "de", "fr", "pt")),
        "news": chance.random() < 0.5,
        "limits": {"day": chance.randrange(100), "month": None},
        "seen": [chance.randrange(1000), chance.choice(WORDS)],
    }


def _history(chance: random.Random) -> list[object]:
    return [chance.choice(WORDS), chance.randrange(10**6), None, {"at": chance.randrange(10**9), "ok": True}]
