"""Real Kafka and Postgres from pip alone: no Docker, no root, no account."""
