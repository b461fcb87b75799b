"""What if: a recorded day under other rules, limits, prompts or another model, beside itself.

Both sides are derived by the same cores from the same ticks. What nobody knows is said: an answer
that no model gave yet, and what an order would have come to, which is estimated.
"""
