"""What touches the machine: namespaces, the wire between them, the kernels' own word, and the processes on the hosts."""
