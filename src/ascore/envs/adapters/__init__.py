"""Other people's environments, made to look like compiled ones."""
