"""Scout, analysts and Commander: language models propose, code disposes.

Every failure is a HOLD with its reason.
"""
