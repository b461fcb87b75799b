"""The command line, settings, the embedded stack, supervision and observability.

The only room that knows them all.
"""
