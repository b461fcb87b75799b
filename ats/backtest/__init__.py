"""Days of a market file through the engine, the rules and the committee, in this process.

No Kafka, no database, no network: the same cores, as fast as they go.
"""
