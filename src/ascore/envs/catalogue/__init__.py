"""One module per environment, with what the library knows of it in `RECORD`."""
