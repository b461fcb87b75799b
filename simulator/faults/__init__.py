"""What goes wrong on purpose.

A small seeded script language, and a journal of every fault that fired.
"""

from simulator.faults.fault import Fault
from simulator.faults.injector import FaultHit, Faults, Target
from simulator.faults.journal import Entry, Journal
from simulator.faults.kinds import FaultKind, Place
from simulator.faults.script import Script, load_script, read_script

__all__ = [
    "Entry",
    "Fault",
    "FaultHit",
    "FaultKind",
    "Faults",
    "Journal",
    "Place",
    "Script",
    "Target",
    "load_script",
    "read_script",
]
