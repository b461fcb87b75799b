"""One order from its claim to its recorded outcome, and what becomes known of it later."""
