"""How far a backtest's figures can be trusted: chance, the number of tries, costs, the future.

Pure: numbers in, numbers out; the same seed gives the same answer.
"""
