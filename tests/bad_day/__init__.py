"""A scripted bad day: every protection at its limit, on a simulator in this process."""
