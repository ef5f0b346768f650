"""Kinds of faults of a server and of the way to it: the load goes over HTTP to a process that owns the database.

What comes after goes to the same database from inside: a job is known by its table, not by the way to it.
"""

from __future__ import annotations

from faults.world import Fault, Round
from gateway import Fault as Answer
from gateway import Kind
from gateway.process import GatewayProcess

from transformer.errors import ExitCode


def _server_dies(round_: Round) -> int | None:
    """The server is killed at a random moment, and stays away."""
    with GatewayProcess(round_.engine) as server, round_.process(to=_way(server, round_)) as process:
        round_.wait_a_while()
        server.kill()
        code = process.wait(timeout=600)
    assert code in (0, ExitCode.RETRY)
    return code


def _answers_lost(round_: Round) -> int | None:
    """Connections break before, inside and after inserts, and a proxy loses answers; all within one run."""
    kinds = [Kind.RESET_BEFORE, Kind.RESET_INSIDE, Kind.RESET_AFTER, Kind.LOSE]
    faults = [Answer(round_.chance.choice(kinds), status=503) for _ in range(5)]
    with GatewayProcess(round_.engine) as server:
        with round_.process(to=_way(server, round_), DYNAMO2CH_RETRY_SECONDS="600") as process:
            server.fail(inserts=faults)
            code = process.wait(timeout=600)
        assert code == 0
    return code


def _way(server: GatewayProcess, round_: Round) -> str:
    return f"http://default@127.0.0.1:{server.port}/{round_.database}"


FAULTS = [
    Fault("server killed during the load", _server_dies),
    Fault("connections and answers lost on the way", _answers_lost, interrupts=False),
]
