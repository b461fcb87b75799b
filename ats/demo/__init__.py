"""`ats demo`: the whole platform on this machine, on an embedded stack and a simulated market."""
