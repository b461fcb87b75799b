"""Serves one GGUF model on loopback until it is ended; a script, with `xllamacpp` on its path.

It imports nothing of ours: it runs beside what was installed on demand.
"""

from __future__ import annotations

import signal
import sys

import xllamacpp


def main(words: list[str]) -> None:
    """Serve until SIGTERM.

    `words` are the file of weights, port, name of the model, slots, tokens of each slot, threads,
    tokens read at once.
    """
    weights, port, name, slots, context, threads, batch = words
    params = xllamacpp.CommonParams()
    params.model.path = weights
    params.model_alias = {name}
    params.hostnames = ["127.0.0.1"]
    params.port = int(port)
    params.n_parallel = int(slots)
    params.n_ctx = int(slots) * int(context)
    params.n_batch = params.n_ubatch = int(batch)
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = int(threads)
    # idle threads sleep: others need the processor
    params.cpuparams.poll = params.cpuparams_batch.poll = 0
    server = xllamacpp.Server(params)  # serves as long as it is held
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    del server


if __name__ == "__main__":
    main(sys.argv[1:])
