"""Dhan's REST API as ATS needs it.

The SDK builds the payloads, a transport of ours carries them, and each outcome says what is known.
"""
