"""Who is asked whether the annotator is right: the kernels, the packets alone, Wireshark."""
