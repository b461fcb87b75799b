"""From a decision to users' orders.

At most one per decision and user, and one recorded outcome for each, whatever crashes.
"""
