"""How a process of ATS lives: logs, metrics, children, signals and exit codes."""
