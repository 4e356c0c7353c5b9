"""The subcommands of `lishang`, each imported only when it is used."""
