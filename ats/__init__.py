"""The command line, settings, the embedded stack, supervision and observability: the only room that knows them all."""
