"""Tests of lab/protocols, each protocol in a folder of its own."""
