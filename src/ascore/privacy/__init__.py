"""How private training is: attacks that measure it, and audits of what is guaranteed."""
