"""Would it have worked? Recorded days through the cores that trade live, matched by the simulator's
exchange. Holds no rule of its own of the live path.
"""
