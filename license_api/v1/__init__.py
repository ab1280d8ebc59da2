"""The first version of the API: the wire to the sites, and what MSPs' programs use."""
