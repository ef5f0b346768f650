"""What is around the items on a line: the members of the outermost object, by kind of export."""

from __future__ import annotations

from enum import Enum


class Envelope(Enum):
    """The kind of lines. AWS: Developer Guide, "DynamoDB table export output format".

    ITEM: full exports, `{"Item": {...}}`.
    CHANGE: incremental exports, `{"Metadata": {"WriteTimestampMicros": ...}, "Keys": {...}, "NewImage": {...},
    "OldImage": {...}}`. Without `NewImage` the item was deleted. `OldImage` is there in the view NEW_AND_OLD_IMAGES
    only, and is checked but not stored.
    """

    ITEM = "item"
    CHANGE = "change"

    @property
    def image(self) -> str:
        """The member that holds the item."""
        return "Item" if self is Envelope.ITEM else "NewImage"

    @property
    def required(self) -> tuple[str, ...]:
        """The members that every line has."""
        return ("Item",) if self is Envelope.ITEM else (METADATA, KEYS)

    @property
    def optional(self) -> tuple[str, ...]:
        """The members that a line may have."""
        return () if self is Envelope.ITEM else ("NewImage", "OldImage")


METADATA = "Metadata"
KEYS = "Keys"
WRITE_TIME = "WriteTimestampMicros"
"""The member of METADATA that becomes the version: an N, microseconds since 1970."""

MAPS = frozenset({name for kind in Envelope for name in (*kind.required, *kind.optional)})
"""All members that hold attributes, whatever the kind."""
