"""Real order workers, Kafka and Postgres are killed in the middle of trading; then Dhan's books are
compared with what ATS says.
"""
