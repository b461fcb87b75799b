"""Times and sizes of a shell, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.topics import MIB


@dataclass(frozen=True, slots=True)
class ShellOptions:
    """What may differ between a laptop and a cluster. Sources: `docs/facts/faust.md`.

    Attributes:
        session_timeout: Seconds without a heartbeat until the group gives our partitions away. The
            broker's minimum is 6.
        static_membership: Keep our partitions over a quick restart. The instance name must be
            unique among the living.
        snapshot_interval: Longest time in seconds between two snapshots of a partition. Those of
            5,000 instruments are tens of megabytes, and copying one holds records up: seldom is
            better.
        max_replay: Seconds of work that a restart does again at most: when partitions have gathered
            so much since their snapshots, they get new ones. So snapshots are frequent in a backlog
            and seldom when there is little to do.
        progress_commit_interval: Seconds between commits of the stateful shell, which only show how
            far it is.
        commit_interval: Seconds between commits of the stateless shell; a restart redoes at most so
            much.
        join_timeout: Seconds until we own partitions; a refused join never returns.
        drain_timeout: Seconds that records in flight may take to finish when the process is told to
            stop.
        leave_timeout: Seconds that leaving the group may take; it needs about one. Nothing depends
            on it.
        handler_timeout: Seconds after which a handler that has not returned counts as stuck.
        max_buffered_records: Records waiting in memory. When there are so many, Faust's fetch loop
            sleeps for a second.
        max_buffered_bytes: Bytes of records waiting in memory: above it no more are fetched. Large
            records, as in a backlog, reach it long before their number does.
        yield_every: Outputs sent before the event loop gets its turn (about 5 ms).
    """

    session_timeout: float = 10.0
    static_membership: bool = True
    snapshot_interval: float = 20.0
    max_replay: float = 2.0
    progress_commit_interval: float = 0.5
    commit_interval: float = 0.2
    join_timeout: float = 60.0
    drain_timeout: float = 2.5
    leave_timeout: float = 2.0
    handler_timeout: float = 600.0
    max_buffered_records: int = 4096
    max_buffered_bytes: int = 8 * MIB
    yield_every: int = 250
