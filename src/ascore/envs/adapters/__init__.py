"""Adapters that give Python environments the interface of compiled ones."""
