"""The process that cells come from: ``python -m pocketrec.bench.cell_server MODULE``.

It imports the module and calls its ``warm_up()`` if there is one, which takes seconds, and forks for each job: a cell
is a process of its own that begins at once and shares what was imported. Standard input says what is to begin, a line
of JSON each (``folder``, ``cwd``); standard output says ``[folder, "began", pid]`` and ``[folder, "ended", code]``,
below 0 for a signal. The child calls the module's ``main(folder)``, and what it prints goes to ``log.txt`` there. When
the input ends all children are ended, so that no cell outlives its runner.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

__all__ = ["serve"]

_LOOK_S: Final = 0.02
_PR_SET_PDEATHSIG: Final = 1


def serve(main: Callable[[Path], None]) -> None:
    """Begin what is asked for until nobody can ask any more."""
    children: dict[int, str] = {}
    asked = b""
    while True:
        if select.select([0], [], [], _LOOK_S if children else None)[0]:
            found = os.read(0, 1 << 16)
            if not found:
                break
            *lines, asked = (asked + found).split(b"\n")
            for line in lines:
                job = json.loads(line)
                pid = os.fork()
                if not pid:
                    _be(job, main)
                children[pid] = job["folder"]
                _say(job["folder"], "began", pid)
        while children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            _say(children.pop(pid), "ended", os.waitstatus_to_exitcode(status))
    for pid in children:
        os.kill(pid, signal.SIGKILL)


def _say(folder: str, what: str, number: int) -> None:
    os.write(1, json.dumps([folder, what, number]).encode() + b"\n")


def _be(job: dict[str, Any], main: Callable[[Path], None]) -> None:
    """Be the process of this job, to its end."""
    code = 1
    try:
        _settle(job)
        main(Path(job["folder"]))
        code = 0
    except BaseException:  # whatever it is, it is told in the log, and nothing of the server runs on in the child
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)


def _settle(job: dict[str, Any]) -> None:
    os.setsid()  # Ctrl-C is the runner's, which then ends its cells
    with contextlib.suppress(AttributeError, OSError):  # where the system has it: who kills the server ends its cells
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    with contextlib.suppress(OSError):  # where memory runs out, the system should end a cell rather than its runner
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    os.chdir(job["cwd"])
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(Path(job["folder"], "log.txt"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for own, standard in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(own, standard)


if __name__ == "__main__":
    module = importlib.import_module(sys.argv[1])
    getattr(module, "warm_up", lambda: None)()
    serve(module.main)
