"""News from outside: syndicated feeds, announcements of the exchanges, files in a folder.

Everything here was written by strangers: it is bounded before it is read and cleaned before it is
kept (`agents.quotations`).
"""
