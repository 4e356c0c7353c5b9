"""The record of what happened: tables, migrations and one unit of work per request."""
