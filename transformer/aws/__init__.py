"""The table's side: its Kinesis stream, its exports, and what both need to be allowed."""
