"""Whose order of a decision leaves first: another user each time, and anybody can compute who.

Prices move while the orders of one decision leave, so who always comes last always pays for it. The
place in the queue follows from decision and user alone: nobody chooses it, and no user has a better
one than another over many decisions.

Where the guarantee stops: each partition of `ats.orders` is in this order, and one process works on
several at once. An order may still wait for its account's rate.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from schemas.ids import DecisionId, UserId

# Part of `ats.fanouts`: another rule needs another name.
RULE: Final = "sha256(decision_id|user_id)"


def turn(decision: DecisionId, user: UserId) -> bytes:
    """The place of `user` among all users of `decision`: they come in ascending order of it.

    SHA-256 of both ids as lower-case text, with `|` between.
    """
    return sha256(f"{decision}|{user}".encode()).digest()
