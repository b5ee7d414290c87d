"""The child process in which an app's Alembic project runs. It needs nothing but Alembic.

A stranger's `env.py` may import a whole application, configure logging or open connections of its
own, and its dependencies may exclude ours: so it runs here, under the app's own interpreter, and
the memory it takes is given back at the end.

The folder is started by path, and its modules import nothing of bootstrapd but each other and the
package `demo`. An app's interpreter may be as old as Python 3.8, its SQLAlchemy as old as 1.4.
"""

# Of more revisions than this neither side tells one by one.
LISTED = 30
