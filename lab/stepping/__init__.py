"""The debugger: a run held packet by packet, or a capture walked to and fro, with what both kernels say beside it."""
