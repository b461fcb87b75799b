"""The rules of the house that no ready-made linter knows, one module a rule.

`python -m tools.house` runs all, `python -m tools.house vocabulary docstrings` those named. A rule
is a function `broken(root)`: one line for each breach, with what, where, and what to do instead.
"""
