"""Inputs in, records and events out: walks tables, and knows no protocol."""
