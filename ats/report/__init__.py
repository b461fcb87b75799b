"""`ats report`: one day as a page."""
