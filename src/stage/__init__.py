"""What the stages, the scripts beside this folder, share.

A stage imports this before its libraries. While they load, Python looks in vain for garbage, a sixth of that
time: `arguments.run` has it look again.
"""

import gc
import sys
import time

STARTED = time.monotonic()  # seconds
if "torch" not in sys.modules:  # as in tests, where all is loaded
    gc.disable()
