"""Dhan's REST API as ATS needs it.

The SDK's payloads over an async transport of ours, and outcomes one can act on.
"""
