"""One page about runs and sweeps: a file that needs no network, or served live on this machine."""
