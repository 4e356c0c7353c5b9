"""The faces of the service: HTTP, the command line, settings and wiring."""
