"""`ats tail`: what stands on the topics, for people on a terminal and as JSON for machines."""
