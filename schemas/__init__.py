"""Message contracts of every topic, identifiers, units and the topic catalogue.

No I/O; imports nothing of ours.
"""
