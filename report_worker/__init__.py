"""Front door two: the worker. arq rings; PostgreSQL decides what is due; every rule is in `services`."""
