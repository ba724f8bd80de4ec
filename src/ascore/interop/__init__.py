"""What connects the environments and runs to the world outside; each module needs its own extra."""
