"""Tests of lab/protocols/tls: real OpenSSL without a socket, the RFCs' test vectors, and garbage."""
