"""One day as a report: what was earned, by which trades and why, and what went wrong."""
