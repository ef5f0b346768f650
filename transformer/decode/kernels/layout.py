"""The words that the plan and the kernels share: rows of the plan's tables, tags, and slots of the state array.

Plain integers, so that compiled code sees constants. `decode.plan` writes these tables, the kernels read them.
"""

from __future__ import annotations

# What a span holds. A span is (start, length, tag): bytes of the block between the quotes of S, N, B; the whole inner
# value of M, L and sets; nothing for the rest. MISSING must be 0: span tables start zeroed.
MISSING, NULL, S, S_ESCAPED, N, B, FALSE, TRUE, M, L, SS, NS, BS = range(13)
SETS = 1 << SS | 1 << NS | 1 << BS  # bit t is set when tag t is that of a set
TAG_NAMES = ("", "NULL", "S", "S", "N", "B", "BOOL", "BOOL", "M", "L", "SS", "NS", "BS")

# Columns of `nodes`, one row per place in the item that the schema speaks of.
SHAPE = 0  # bits below
BASE = 1  # index of its first span; the span of record r is BASE + r
LEVEL = 2  # which record counter r comes from; 0 counts items
FIELDS = 3  # known members of its M: rows FIELDS .. FIELDS_END of `fields`
FIELDS_END = 4
TABLE = 5  # its hash table of names: TABLE .. TABLE + TABLE_MASK of `table`
TABLE_MASK = 6
CHILD = 7  # node of the elements of its L or set, or of the values of its M read as a dict
CHILD_LEVEL = 8
KEYS = 9  # node that takes the names of its M read as a dict
NODE_WIDTH = 10

# Bits of SHAPE.
TAKES_FIELDS = 1  # its M is walked by known members
TAKES_LIST = 2  # its L or set is walked element by element
TAKES_DICT = 4  # its M is walked name by name
CONSUMES = 8  # a column takes the whole value, whatever is inside
DROPPED = 16  # never stored: judged and skipped
BARE = 32  # a member of the envelope: a map without a type tag
NOT_CONSUMED = 64  # a top-level attribute that belongs to `_unmapped` whatever columns read of it
CLOSED = 128  # the envelope: a member that is not known is a fault
IMAGE = 256  # its members are the top-level attributes

# Columns of `fields`, one row per known member.
TOKEN = 0  # index of its first word in `words`
TOKEN_LENGTH = 1  # bytes of the text that introduces it: "age":{"   (envelope: "Item":)
TARGET = 2  # its node
REQUIRED = 3  # envelope members that must be there
FIELD_WIDTH = 4

# Slots of the state array of a walk (int64).
INSTANCE = 0  # number of the map entered last; never reset, so that old marks are simply old
FLOOR = 1  # INSTANCE at the start of the line: slots of the name table below it are free
NAMES = 2  # names entered for this line
FAULT_CODE = 3
FAULT_AT = 4  # with CAPACITY: the level that is full
KEPT = 5  # UNMAPPED at the start of the line
UNMAPPED = 6  # entries of the unmapped table so far
REJECTS = 7  # entries of the reject table so far
SPARE = 8  # where the next compact copy of a line goes
SPARE_END = 9
CAPACITY = 10  # which limit stopped the walk, see below
STATE_SIZE = 11

# Values of state[CAPACITY].
ENOUGH, SPANS_FULL, UNMAPPED_FULL, NAMES_FULL, SPARE_FULL = range(5)

MAX_DEPTH = 32

# Columns of the reject table, of the unmapped table and of the row table (int32).
R_ITEM, R_CODE, R_OFFSET, REJECT_WIDTH = 0, 1, 2, 3
U_ROW, U_NAME, U_NAME_LENGTH, U_VALUE, U_VALUE_LENGTH, UNMAPPED_WIDTH = 0, 1, 2, 3, 4, 5
W_ITEM, W_TEXT, ROW_WIDTH = 0, 1, 2

# Columns of the walk's context stack (int64).
C_KIND, C_NODE, C_SPAN, C_INSTANCE, C_FIRST, C_SLOT, CONTEXT_WIDTH = 0, 1, 2, 3, 4, 5, 6

# Columns of the drop table (int64): below which drop node, which name (a place among the names), and the node it leads
# to, or DROP_ALL where the path ends.
D_PARENT, D_NAME, D_LENGTH, D_CHILD, DROP_WIDTH = 0, 1, 2, 3, 4
DROP_ALL = -2
DROP_NOTHING = -1
