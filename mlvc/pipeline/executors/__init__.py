"""Where the command of a stage runs."""
