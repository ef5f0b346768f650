"""A ClickHouse server for tests, on loopback: the embedded engine behind the part of the HTTP interface that is used.

It answers real statements, takes real inserts, checks user and password, and fails on cue. Nothing here imports the
project, and only the engine is needed, so that it runs in environments of their own with older engines too.
"""

from gateway.engine import Engine
from gateway.faults import Fault, Kind
from gateway.server import Gateway, Request

__all__ = ["Engine", "Fault", "Gateway", "Kind", "Request"]
