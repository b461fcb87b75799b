"""The columns of closed bars: their names, the parser of names, and TA-Lib's functions as columns.

Below rules and engine: both look names up here, and neither needs the other for it.
"""
