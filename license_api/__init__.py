"""Front door one: HTTP. It translates, commits and answers; every rule is in `services`."""
