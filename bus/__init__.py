"""The only room that knows Kafka and Faust from the inside.

Connection, topics, writing, reading, and two shells.
"""
