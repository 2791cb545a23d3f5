"""Captures of real computers for measurements: kernels over a lossy cable, browsers' and servers' TLS."""
