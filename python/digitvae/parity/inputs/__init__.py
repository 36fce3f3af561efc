"""The inputs that runtimes are compared on, made or searched for."""
