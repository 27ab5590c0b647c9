"""Helpers of the tests: a server of its own, clients, checks of what is on the wire and of what is left behind."""
