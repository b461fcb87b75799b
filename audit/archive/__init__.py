"""Days of topics as Parquet files: kept for years, readable by others, put back byte for byte."""
