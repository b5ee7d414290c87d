"""Move an app's rows from SQLite to PostgreSQL: scan, prepare, copy, verify, cut over."""
