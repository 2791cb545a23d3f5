"""Wireshark as a part of the lab: its profile, fields made of our comments, and the way to both."""
