"""The board's process: its configuration is the first line of standard input, everything after it a command.

Every line in is answered by one line out, the first by `{"port": …}` once a host can open it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any

# MNE would compile its forward model for 5 s on a fresh machine to save 0.1 s of it; read when MNE is
# imported.
os.environ.setdefault("MNE_USE_NUMBA", "false")

from bci.acquisition.simulator._config import BoardConfig
from bci.acquisition.simulator._serve import run_board
from bci.errors import BciError


def _answer(reply: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(reply) + "\n")
    sys.stdout.flush()


def main() -> int:
    parent = os.getppid()
    line = sys.stdin.readline()
    if not line:
        return 0
    try:
        config = BoardConfig.from_json(json.loads(line))
        run_board(config, answer=_answer, commands=sys.stdin, parent=parent)
    except BrokenPipeError:  # the host is gone; so are we
        return 0
    except (BciError, ValueError) as err:
        _answer({"error": type(err).__name__, "message": str(err)})
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
