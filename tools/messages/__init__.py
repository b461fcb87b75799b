"""Writes what other languages and tools know of our messages, all from the same JSON Schemas.

Run it as `python -m tools.messages`. The files are committed, so that their users need none of our
code; a test says when one lags behind.
"""
