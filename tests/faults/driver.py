"""The command with a fault on cue. Run as a program: the arguments are those of the command, FAULT_CUE is the cue."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from faults.cue import Cue, cued

if __name__ == "__main__":
    from transformer.cli.main import main

    with cued(Cue.from_json(os.environ["FAULT_CUE"])):
        main()
