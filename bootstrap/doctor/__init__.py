"""Doctor: what is wrong with the compose files, units, containers and volumes around a database.

Files are read as compose reads them, without its command. Nothing is changed anywhere.
"""
