"""What each command of `ascore` does: arguments in, text or JSON and an exit status out."""
