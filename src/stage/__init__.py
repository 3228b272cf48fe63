"""What the stages, the scripts beside this folder, share.

A stage imports this before its libraries: while they load, Python looks in vain for garbage, a sixth of the time
that it takes. `arguments.run` has it look again.
"""

import gc
import sys

if "torch" not in sys.modules:  # as in tests, where all is loaded
    gc.disable()
