"""The only room that knows Kafka and Faust from the inside: connection, topics, writing, reading, and two shells."""
