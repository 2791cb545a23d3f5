"""The commands, one file each, and what only they need."""

import os
import sys

if "SUDO_UID" in os.environ and hasattr(os, "geteuid") and os.geteuid() == 0:
    sys.dont_write_bytecode = True  # nor shall what Python makes of these sources belong to root
