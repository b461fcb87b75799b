"""Times and sizes of a shell, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.topics import MIB


@dataclass(frozen=True, slots=True)
class ShellOptions:
    """What may differ between a laptop and a cluster. Sources: `docs/facts/faust.md`.

    Attributes:
        session_timeout: Seconds without a heartbeat until the group gives our partitions away. The broker's minimum is 6.
        static_membership: Keep our partitions over a quick restart. The instance name must be unique among the living.
        snapshot_every: Seconds between two snapshots of a partition at most. Of 5,000 instruments they are tens of megabytes, and
            copying them holds records up: seldom is better.
        replay_within: Seconds of work that a restart does again at most: when partitions have gathered so much since their
            snapshots, they get new ones. So snapshots are frequent in a backlog and seldom when there is little to do.
        show_every: Seconds between the commits of the stateful shell, which only show how far it is.
        commit_every: Seconds between commits of the stateless shell; a restart redoes at most so much.
        start_within: Seconds until we own partitions; a refused join never returns.
        finish_within: Seconds that records in flight may take to finish when the process is told to stop.
        leave_within: Seconds that leaving the group may take; it needs about one. Nothing depends on it.
        handle_within: Seconds after which a handler that has not returned counts as stuck.
        buffered_records: Records waiting in memory. When they are so many, Faust's fetch loop sleeps for a second.
        buffered_bytes: Of records waiting in memory: no more are fetched above it. Reached long before the number of records
            when they are large, as they are in a backlog.
        burst: Outputs sent before the event loop gets its turn (about 5 ms).
    """

    session_timeout: float = 10.0
    static_membership: bool = True
    snapshot_every: float = 20.0
    replay_within: float = 2.0
    show_every: float = 0.5
    commit_every: float = 0.2
    start_within: float = 60.0
    finish_within: float = 2.5
    leave_within: float = 2.0
    handle_within: float = 600.0
    buffered_records: int = 4096
    buffered_bytes: int = 8 * MIB
    burst: int = 250
