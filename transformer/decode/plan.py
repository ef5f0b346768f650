"""From a table to what the walk needs: nodes, the text that introduces each attribute, and hash tables of names.

A *node* is a place in the item that the schema speaks of: an attribute, a member of a map, the elements of a list.
The tree of nodes is built from the columns' paths and types, then flattened into the tables of `kernels.layout`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from transformer.decode.envelope import KEYS, METADATA, WRITE_TIME, Envelope
from transformer.decode.kernels import layout
from transformer.decode.kernels.layout import DROP_ALL, DROP_NOTHING, DROP_WIDTH
from transformer.decode.kernels.primitives import PADDING
from transformer.decode.kernels.strings import hash_bytes
from transformer.decode.position import Every, Step, path_text
from transformer.errors import SchemaError
from transformer.schema.types import JSON, Array, LowCardinality, Map, Nullable, Tuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformer.schema.table import Column, Path, Table
    from transformer.schema.types import Type


@dataclass(eq=False)
class Node:
    """One place in the item.

    number: its row in the node table. shape: bits of `layout`. level: the record counter its spans are numbered by.
    path: the declared steps to it. fields: known members by name. required: whether every line has it. child: elements
    of its list, or values of its map read as a dict; keys: the names of that map.
    """

    number: int
    level: int
    path: tuple[Step, ...]
    shape: int = 0
    fields: dict[str, Node] = field(default_factory=dict)
    required: bool = False
    child: Node | None = None
    keys: Node | None = None


@dataclass(frozen=True)
class Level:
    """A record counter: items (no parent), or the elements of the lists or dicts at node `parent`."""

    parent: Node | None


@dataclass(frozen=True)
class Changes:
    """The nodes of a line of an incremental export around its new image.

    pairs: for each key column, its nodes in Keys and in the new image.
    keys_size: bytes of a compact Keys with the key columns' attributes and nothing else, less the texts of the scalars.
    """

    metadata: Node
    time: Node
    keys: Node
    pairs: tuple[tuple[Node, Node], ...]
    keys_size: int


_AROUND_SCALAR = b':{"S":""}'


class Plan:
    """The flattened plan of one table.

    nodes, fields (int64), words, masks (uint64), table (int32): see `kernels.layout`.
    drops (int64), drop_names (uint8): the drop paths as a trie, for `kernels.render`; root_drop is its root.
    item: the node of the item. changes: what is around it, in a plan for changes.
    leaves: for each column, the nodes its path runs through, itself last.
    levels: the record counters; level 0 counts items. spare: a node of its own for each column with a default.
    """

    def __init__(self, table: Table, envelope: Envelope = Envelope.ITEM) -> None:
        self.tree: list[Node] = []
        self.levels: list[Level] = [Level(None)]
        root = self._node(0, ())
        root.shape = layout.TAKES_FIELDS | layout.CLOSED
        self.item = self._bare(root, envelope.image, envelope, layout.IMAGE)
        self.leaves: list[tuple[Node, ...]] = [tuple(self._column(column)) for column in table.columns]
        self.changes = self._changes(root, table) if envelope is Envelope.CHANGE else None
        self._drop_tree(table.drop)
        for path in table.drop:
            self._drop(self.item, path, path)
        # Nodes that no walk enters: room for the spans of columns with a default.
        self.spare = {
            number: self._node(0, column.path) for number, column in enumerate(table.columns) if column.default
        }
        self._flatten()

    def _bare(self, root: Node, name: str, envelope: Envelope, shape: int) -> Node:
        """The node of a member of the envelope, a map without a type tag."""
        node = self._node(0, ())
        node.shape = layout.TAKES_FIELDS | layout.BARE | shape
        node.required = name in envelope.required
        root.fields[name] = node
        return node

    def _changes(self, root: Node, table: Table) -> Changes:
        """Add what is around the new image, and let the key columns read from Keys.

        These maps count as consumed: what no column takes of them is nothing for `_unmapped`.
        """
        metadata = self._bare(root, METADATA, Envelope.CHANGE, layout.CONSUMES)
        keys = self._bare(root, KEYS, Envelope.CHANGE, layout.CONSUMES)
        self._bare(root, "OldImage", Envelope.CHANGE, layout.CONSUMES)
        time = self._member(metadata, WRITE_TIME)
        time.shape |= layout.CONSUMES
        pairs = []
        for number, column in enumerate(table.columns):
            if column.name in table.key:
                in_image = self.leaves[number][-1]
                in_keys = self._member(keys, column.path[-1])
                in_keys.shape |= layout.CONSUMES
                self.leaves[number] = (in_keys,)
                pairs.append((in_keys, in_image))
        size = len("{}") + sum(len(introduced(str(node.path[-1])) + _AROUND_SCALAR) + 1 for node, _ in pairs) - 1
        return Changes(metadata, time, keys, tuple(pairs), size)

    def _node(self, level: int, path: tuple[Step, ...]) -> Node:
        node = Node(len(self.tree), level, path)
        self.tree.append(node)
        return node

    def _member(self, node: Node, name: str) -> Node:
        """The node of the member `name` of the map at `node`."""
        if node.shape & layout.TAKES_DICT:
            raise self._conflict(node)
        node.shape |= layout.TAKES_FIELDS
        if name not in node.fields:
            node.fields[name] = self._node(node.level, (*node.path, name))
        return node.fields[name]

    @staticmethod
    def _conflict(node: Node) -> SchemaError:
        return SchemaError(
            f"two columns read the attribute {path_text(node.path)} in ways that exclude each other "
            "(Map, flattened or Tuple, Array)",
            remedy="Read it in one of these ways, and once more as String (JSON text) if the whole is wanted too.",
        )

    def _column(self, column: Column) -> Iterator[Node]:
        node = self.item
        for step in column.path:
            node = self._member(node, step)
            yield node
        self._attach(node, column.type)

    def _attach(self, node: Node, type_: Type) -> None:
        """Make `node` deliver what a value of `type_` is made of."""
        match type_:
            case Nullable(inner) | LowCardinality(inner):
                self._attach(node, inner)
            case Array(element):
                self._attach(self._elements(node, layout.TAKES_LIST), element)
            case Map(value):
                if node.fields:
                    raise self._conflict(node)
                child = self._elements(node, layout.TAKES_DICT)
                if node.keys is None:
                    node.keys = self._node(child.level, node.path)
                self._attach(child, value)
            case Tuple(members):
                node.shape |= layout.TAKES_FIELDS
                if node.shape & layout.TAKES_DICT:
                    raise self._conflict(node)
                for name, member in members:
                    self._attach(self._member(node, name), member)
            case JSON():
                self.item.fields[str(node.path[0])].shape |= layout.NOT_CONSUMED
            case _:
                node.shape |= layout.CONSUMES

    def _elements(self, node: Node, shape: int) -> Node:
        other = layout.TAKES_DICT if shape == layout.TAKES_LIST else layout.TAKES_LIST
        if node.shape & other:
            raise self._conflict(node)
        node.shape |= shape
        if node.child is None:
            self.levels.append(Level(node))
            step = Every.ELEMENT if shape == layout.TAKES_LIST else Every.VALUE
            node.child = self._node(len(self.levels) - 1, (*node.path, step))
        return node.child

    def _drop(self, node: Node, path: Path, whole: Path) -> None:
        """Mark what `path` names below `node` as dropped, where the walk looks inside; `render` does the rest."""
        name, rest = path[0], path[1:]
        if node.shape & layout.TAKES_LIST and node.child is not None:
            self._drop(node.child, path, whole)
        if node.shape & (layout.TAKES_FIELDS | layout.TAKES_DICT) == 0:
            return
        if rest:
            if name in node.fields:
                self._drop(node.fields[name], rest, whole)
            elif node.shape & layout.TAKES_DICT:
                raise SchemaError(
                    f"drop path {path_text(whole)} goes into the values of the Map column at {path_text(node.path)}",
                    remedy="Drop the whole entry, or read the attribute as String (JSON text).",
                )
        else:
            if name in node.fields and node.fields[name].shape != layout.DROPPED:
                raise SchemaError(
                    f"a column reads {path_text(node.fields[name].path)}, which drop says must never be stored",
                    remedy="Take the path out of drop, or the column out of columns.",
                )
            if name not in node.fields:
                node.fields[name] = self._node(node.level, (*node.path, name))
                node.fields[name].shape = layout.DROPPED

    def _drop_tree(self, paths: tuple[Path, ...]) -> None:
        rows: list[tuple[int, int, int, int]] = []
        names = bytearray()
        children: dict[tuple[int, str], int] = {}
        count = 1
        for path in sorted(paths, key=len):
            node = 0
            for depth, step in enumerate(path):
                known = children.get((node, step))
                if known is None:
                    known = DROP_ALL if depth == len(path) - 1 else count
                    count += known != DROP_ALL
                    children[node, step] = known
                    text = introduced(step)[1:-1]
                    rows.append((node, len(names), len(text), known))  # D_PARENT, D_NAME, D_LENGTH, D_CHILD
                    names += text
                if known == DROP_ALL:
                    break
                node = known
        self._drop_children = children
        self.root_drop = 0 if paths else DROP_NOTHING
        self.drops = np.array(rows, np.int64).reshape(len(rows), DROP_WIDTH)
        self.drop_names = np.frombuffer(bytes(names) + bytes(PADDING), np.uint8).copy()

    def drop_below(self, node: int, step: str) -> int:
        """The drop node that the member `step` of drop node `node` leads to, or DROP_NOTHING."""
        return self._drop_children.get((node, step), DROP_NOTHING)

    def drop_node(self, path: Path) -> int:
        """The drop node at `path`, or DROP_NOTHING."""
        node = self.root_drop
        for step in path:
            node = self.drop_below(node, step)
        return node

    def _flatten(self) -> None:
        nodes = np.zeros((len(self.tree), layout.NODE_WIDTH), np.int64)
        fields: list[list[int]] = []
        words: list[np.ndarray] = []
        masks: list[np.ndarray] = []
        tables: list[np.ndarray] = []
        word_count = table_size = 0
        for node in self.tree:
            row = nodes[node.number]
            row[layout.SHAPE], row[layout.LEVEL] = node.shape, node.level
            row[layout.FIELDS] = len(fields)
            entries = []
            for name, target in node.fields.items():
                bare = bool(target.shape & layout.BARE)
                quoted = introduced(name)
                token = quoted + (b":" if bare else b':{"')
                entries.append((len(fields), quoted))
                fields.append([word_count, len(token), target.number, int(target.required)])
                size = 4 * -(-len(token) // 32)
                words.append(np.frombuffer(token.ljust(8 * size, b"\0"), np.uint64))
                masks.append(np.frombuffer((b"\xff" * len(token)).ljust(8 * size, b"\0"), np.uint64))
                word_count += size
            row[layout.FIELDS_END] = len(fields)
            row[layout.TABLE], row[layout.TABLE_MASK] = table_size, -1
            if entries:
                tables.append(_hash_table(entries))
                row[layout.TABLE_MASK] = len(tables[-1]) - 1
                table_size += len(tables[-1])
            if node.child is not None:
                row[layout.CHILD], row[layout.CHILD_LEVEL] = node.child.number, node.child.level
            if node.keys is not None:
                row[layout.KEYS] = node.keys.number
        self.nodes = nodes
        self.fields = np.array(fields, np.int64).reshape(len(fields), layout.FIELD_WIDTH)
        self.words, self.masks = np.concatenate(words), np.concatenate(masks)
        self.table = np.concatenate(tables)


def introduced(name: str) -> bytes:
    """`name` as a JSON string with canonical escapes, which is how AWS writes it: raw UTF-8, quotes included."""
    return json.dumps(name, ensure_ascii=False).encode()


def _hash_table(entries: list[tuple[int, bytes]]) -> np.ndarray:
    """An open-addressed table of field numbers by the hash of the quoted name's content, at most half full."""
    size = 2
    while size < 2 * len(entries):
        size *= 2
    table = np.full(size, -1, np.int32)
    for number, quoted in entries:
        text = np.frombuffer(quoted[1:-1] + bytes(PADDING), np.uint8).copy()
        slot = int(hash_bytes(text, 0, len(quoted) - 2, np.uint64(0))) & (size - 1)
        while table[slot] >= 0:
            slot = (slot + 1) & (size - 1)
        table[slot] = number
    return table
