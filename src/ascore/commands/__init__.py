"""The commands of `ascore`: each takes arguments, prints text or JSON and returns a status."""
