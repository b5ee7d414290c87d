"""What pending revisions would do to a database that is in use, told before they run.

A worker renders each revision by itself; squawk reads the SQL for PostgreSQL, own rules see what
SQL cannot show, and a consent in the revision file lets a finding pass.
"""
