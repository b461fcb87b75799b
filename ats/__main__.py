"""`python -m ats` is `ats`."""

from ats.cli import main

main()
