"""Captures made to exhaust whoever reads them, and what the lab takes for each: memory and time are bounded."""
