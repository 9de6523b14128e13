"""One file a verb of the `ncapps` command: EXAMPLE, add_arguments(parser), run(args) -> (JSON-able data, text)."""
