"""`python -m ats` is `ats`."""

from ats.entry import main

main()
