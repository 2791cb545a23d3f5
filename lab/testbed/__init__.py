"""What touches the machine: namespaces, the wire between them, the kernels' word, the processes on the hosts."""
