"""What a real kernel does with a segment in a state: one kernel, and in front of it a peer that is only numbers."""
