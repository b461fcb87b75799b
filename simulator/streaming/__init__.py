"""What Dhan sends unasked: market feed, depth, order updates, postbacks."""
