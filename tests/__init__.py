"""Tests, in the folders of what they test. `packets.py` is the notation that most of them are written in."""
