"""Whether and how large an order may be: sizing, limits, order rate and the gate. Pure."""
