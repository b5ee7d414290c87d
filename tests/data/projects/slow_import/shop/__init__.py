"""It takes its time."""

import os
import time

time.sleep(float(os.environ.get("SHOP_IMPORT_S", "20")))
