"""What `ats rules` does: list, check, try, and make a template of one's own."""
