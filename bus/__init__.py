"""The only room that knows Kafka and Faust from the inside.

It connects, creates topics, writes and reads, and runs handlers with and without state.
"""
