"""Many settings of one rule on the same days, and what the best of them is worth.

A point is one setting of every swept parameter. Its days are kept as soon as they are played.
"""
