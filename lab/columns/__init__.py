"""Large files, conversation by conversation: see `whole.py`."""
