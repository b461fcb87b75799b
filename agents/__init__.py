"""Scout, analysts and Commander: language models propose, code disposes; every failure is a HOLD with its reason."""
