"""Runs: a capture on its way through the engine, or a scenario that is being played."""
