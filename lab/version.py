"""The lab's version, written into the captures that it saves."""

__version__ = "0.1.0"
