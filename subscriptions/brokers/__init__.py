"""The doorbells: in process, between processes on one SQLite file, on PostgreSQL."""
