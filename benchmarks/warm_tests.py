"""Test files run in processes that are forked from one that has loaded the libraries: a second each, not twenty."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

LIBRARIES = (
    "gracile.api", "gracile.evaluation", "gracile.learning.fit", "gracile.measure.disc", "gracile.stages",
    "gracile.io.video", "hypothesis.extra.numpy", "imagecodecs", "monai.inferers", "pydicom", "pytest",
    "scipy.signal", "skimage.measure", "skimage.transform", "sklearn.metrics", "tifffile",
)  # fmt: skip
"""What is loaded before; of gracile itself only what it loads stays."""


class WarmTests:
    """Runs tests of a checkout against its source or a copy of it.

    Args:
        root: The checkout.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in LIBRARIES:
            import_module(name)

    def run(self, words: list[str], source: Path, limit: float | None) -> subprocess.CompletedProcess[str]:
        """One pytest.

        Args:
            words: Its arguments.
            source: The folder that gracile is imported from.
            limit: Seconds; None: as long as it takes.

        Raises:
            subprocess.TimeoutExpired: It took longer.
        """
        with tempfile.NamedTemporaryFile("r", encoding="utf-8", errors="replace") as said:
            process = os.fork()
            if not process:
                self._become(words, source, said.name)
            end = time.monotonic() + (limit or 1e9)
            while not (ended := os.waitpid(process, os.WNOHANG))[0]:
                if time.monotonic() > end:
                    os.killpg(process, signal.SIGKILL)
                    os.waitpid(process, 0)
                    raise subprocess.TimeoutExpired(words, limit or 0.0)
                time.sleep(0.1)
            return subprocess.CompletedProcess(words, os.waitstatus_to_exitcode(ended[1]), said.read(), "")

    def _become(self, words: list[str], source: Path, said: str) -> None:
        """Be the forked process; never returns."""
        status = 3
        try:
            os.setpgrp()
            out = os.open(said, os.O_WRONLY)
            os.dup2(out, 1)
            os.dup2(out, 2)
            sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
            os.chdir(self.root)
            os.environ |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(source)}
            sys.dont_write_bytecode = True
            for name in [name for name in sys.modules if name.partition(".")[0] == "gracile"]:
                del sys.modules[name]
            sys.path[:0] = [str(source), str(self.root)]
            import pytest

            import gracile

            if not Path(str(gracile.__file__)).is_relative_to(source):
                raise ImportError(gracile.__file__)
            status = int(pytest.main(words))
            sys.stdout.flush()
        finally:
            os._exit(status)
