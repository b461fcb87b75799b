"""Dhan, a market and a model in one process, for demos, tests and replays. Imports only schemas."""
