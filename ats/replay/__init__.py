"""`ats replay`: recorded days through the cores that made them, compared with what they wrote."""
