"""What decides the output of each service, gathered for `ats.manifest`.

The names of inputs are a promise to readers: replay compares by them.
"""
