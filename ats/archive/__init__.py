"""`ats archive`: days of topics as Parquet files, their checks, their sizes, and the way back."""
