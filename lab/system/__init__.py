"""What the machine offers a process: children, signals, files, streams."""
