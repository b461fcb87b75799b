"""Whether decisions were any good: each held against what the market did afterwards. Pure.

Recorded messages go in, a card comes out. Its figures stand beside a random trader of the same
turnover and beside buying and holding, with an interval, or with the words that there are too few.
"""
