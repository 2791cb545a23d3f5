"""The handshake lab: watch two real computers agree to talk, packet by packet."""

__version__ = "0.1.0"
