"""One module per environment, with its record in `RECORD`."""
