"""What `ats` does when a person asks: one module a command."""
