"""A recorded day through the very cores that made it, and what they say compared with the record.

Ticks, scans, answers, observations and what the gate saw go in as they stand on the topics; all
else is derived again. No model is called, no broker asked, nothing written.
"""
