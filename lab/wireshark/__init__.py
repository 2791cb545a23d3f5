"""Wireshark as a part of the lab: its profile, fields made of our comments, the way to both, and stepping inside it."""
