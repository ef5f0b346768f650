"""Kinds of faults of process, destination, disks and clock."""

from __future__ import annotations

import signal
import subprocess
import threading

from faults.cue import NONE, Cue, cued
from faults.world import Fault, Round

from transformer.errors import ExitCode


def _kill(round_: Round) -> int | None:
    with round_.process() as process:
        round_.wait_a_while()
        process.kill()
        code = process.wait()
    return None if code == -signal.SIGKILL else code


def _terminate(round_: Round) -> int | None:
    with round_.process() as process:
        round_.wait_a_while()
        process.send_signal(signal.SIGTERM)
        return _ended(process)


def _ended(process: subprocess.Popen[str]) -> int:
    """The exit code of a load that was sent SIGTERM. At the very end, when it is done, nothing holds the signal up."""
    code = process.wait(timeout=600)
    assert code in (0, ExitCode.TERMINATED, -signal.SIGTERM)
    return code


def _terminate_twice(round_: Round) -> int | None:
    with round_.process() as process:
        round_.wait_a_while()
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        return _ended(process)


def _cued(round_: Round, cue: Cue, expected: int) -> int | None:
    with round_.process(cue) as process:
        code = process.wait(timeout=600)
    assert code == expected
    return code


def _dies_after_commit(round_: Round) -> int | None:
    return _cued(round_, Cue(at=round_.some_insert(), do="die", after=True), 137)


def _dies_before_insert(round_: Round) -> int | None:
    return _cued(round_, Cue(at=round_.some_insert(), do="die"), 137)


def _destination_gone(round_: Round) -> int | None:
    result = round_.load(Cue(at=round_.some_insert(), do="fail-on", after=True))
    assert result.exit_code == ExitCode.RETRY
    return result.exit_code


def _destination_full(round_: Round) -> int | None:
    result = round_.load(Cue(at=round_.some_insert(), do="full"))
    assert result.exit_code == ExitCode.RETRY
    return result.exit_code


def _quarantine_full(round_: Round) -> int | None:
    result = round_.load(Cue(rejects=round_.chance.randint(1, round_.world.files)))
    assert result.exit_code == ExitCode.RETRY
    return result.exit_code


def _ledger_away(round_: Round) -> int | None:
    result = round_.load(Cue(ledger=round_.chance.randint(1, 3)))
    assert result.exit_code == ExitCode.RETRY
    return result.exit_code


def _clock(round_: Round) -> int | None:
    """The interrupted run's clock is an hour ahead: what comes later seems to come before."""
    return _cued(round_, Cue(at=round_.some_insert(), do="die", after=True, clock=1), 137)


def _answer_lost(round_: Round) -> int | None:
    result = round_.load(Cue(at=round_.some_insert(), do="fail", after=True), retry_seconds=60)
    assert (result.exit_code, result.retries) == (0, 1)
    return result.exit_code


def _memory(round_: Round) -> int | None:
    result = round_.load(Cue(at=min(round_.some_insert(), round_.chunks - 3), do="memory"), retry_seconds=60)
    assert (result.exit_code, result.retries) == (0, 3)
    return result.exit_code


def _twice_at_once(round_: Round) -> int | None:
    """Somebody has started the same command a second time: both load everything, under one job."""
    results = []
    threads = [threading.Thread(target=lambda: results.append(round_.plain_load())) for _ in range(2)]
    with cued(NONE):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [result.exit_code for result in results] == [0, 0]
    assert len({result.job for result in results}) == 1
    return 0


KILL = Fault("kill -9 at a random moment", _kill)
DIES_AFTER_COMMIT = Fault("dies between commit and answer", _dies_after_commit)

FAULTS = [
    KILL,
    DIES_AFTER_COMMIT,
    Fault("dies before an insert", _dies_before_insert),
    Fault("SIGTERM", _terminate),
    Fault("SIGTERM twice", _terminate_twice),
    Fault("destination gone between commit and answer", _destination_gone),
    Fault("disk of the destination full", _destination_full),
    Fault("disk of the quarantine full", _quarantine_full),
    Fault("ledger cannot be written", _ledger_away),
    Fault("dies with a clock that is an hour ahead", _clock),
    Fault("answer lost, tried again", _answer_lost, interrupts=False),
    Fault("memory limit, tried again", _memory, interrupts=False),
    Fault("two runs of one command at once", _twice_at_once, interrupts=False),
]
