"""Exports as Arrow and polars: the library face, for those who want the rows and no ClickHouse.

It knows where exports are and how lines become rows, and nothing of destinations, so that a data-frame user installs
and imports no database driver. The names meant for others are those that `transformer` itself hands out.
"""
