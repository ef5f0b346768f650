"""What an estimate reckons with: how fast each stage is, and what things cost. Nothing here is measured at run time.

Speeds are those of the benchmark on its `orders` items (34 columns, maps, sets and lists, `make bench`), one core of a
2-core virtual machine with AVX-512. They are rounded down, because an estimate that is too long does less harm. Prices
are examples (US East, on demand, in US dollars) and no promise: give your own.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from transformer.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

GB = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Speeds, and what the numbers of a manifest do not say.

    gzip_ratio: JSON bytes for each stored byte; a large public export has 14.8, small items with random ids have 4.
    inflate: JSON bytes a second that one core inflates. (Measured: 0.9 GB/s at ratio 4, 2.7 GB/s at 15.)
    decode: JSON bytes a second that one core decodes into Arrow. (0.29.)
    insert: JSON bytes a second that one core of ClickHouse takes in, parts written and compressed. (52 MB of JSON in
        0.41 s: 0.125.)
    merge: the same for all merges of the rows until they are settled. (0.22 s for the same, 0.23, where a few parts are
        merged once; a large table merges each row about three times.)
    network: stored bytes a second for one machine. (10 Gbit/s, of which two thirds.)
    client_share: CPU of the client for sending what it decoded, as a share of decoding.
    file_seconds: what each file costs besides its bytes: requests one after the other, the last chunk, its record.
    chunk_bytes: JSON bytes of a chunk, which is one insert. request_bytes: stored bytes of one ranged request.
    """

    gzip_ratio: float = 8.0
    inflate: float = 1.5 * GB
    decode: float = 0.28 * GB
    insert: float = 0.12 * GB
    merge: float = 0.1 * GB
    network: float = 0.8 * GB
    client_share: float = 0.15
    file_seconds: float = 0.15
    chunk_bytes: int = 64 << 20
    request_bytes: int = 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """In US dollars; all of them inputs.

    core_hour: one core of a worker for an hour. server_core_hour: one of ClickHouse.
    get_thousand: a thousand GET requests to S3. list_thousand: a thousand LIST requests.
    nat_gb: a GB (10^9 bytes) through a NAT gateway; a gateway endpoint for S3 costs nothing.
    egress_gb: a GB out of the region of the bucket.
    """

    core_hour: float = 0.0425
    server_core_hour: float = 0.11
    get_thousand: float = 0.0004
    list_thousand: float = 0.005
    nat_gb: float = 0.045
    egress_gb: float = 0.0


Assumptions = TypeVar("Assumptions", Rates, Prices)


def changed(base: Assumptions, given: Sequence[str], option: str) -> Assumptions:
    """`base` with other values for some members.

    given: name=number for each. option: what the user calls them. Raises UsageError for any other text.
    """
    known = {each.name: type(getattr(base, each.name)) for each in fields(base)}
    values: dict[str, Any] = {}
    for text in given:
        name, _, number = text.partition("=")
        if name not in known:
            raise UsageError(f"{option} {text!r}: there is no {name!r}", remedy=f"There is: {', '.join(known)}.")
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if not (0 <= value < float("inf")) or (value == 0 and option == "--rate"):
            raise UsageError(f"{option} {text!r} is no amount", remedy=f"Write {name}=NUMBER.")
        values[name] = known[name](value)
    return replace(base, **values)
