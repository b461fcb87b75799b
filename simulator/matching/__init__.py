"""What becomes of orders: types, rules, matching, legs, positions.

Pure: no clock, no chance, no input or output.
"""
