"""Starts the worker: `python .../worker/__main__.py DESCRIPTOR`."""

import importlib
import os
import sys

# No app has a module of this name, and none of bootstrapd's can be taken for one of the app's.
ALIAS = "bootstrapd_child"

if __name__ == "__main__":
    own = os.path.dirname(os.path.realpath(__file__))
    sys.path[:] = [path for path in sys.path if os.path.realpath(path) != own]
    package = type(sys)(ALIAS)
    package.__path__ = [os.path.dirname(own)]
    sys.modules[ALIAS] = package
    importlib.import_module(f"{ALIAS}.worker.conversation").hold(int(sys.argv[1]))
