"""TLS: its records, its handshake messages and the numbers in them."""
