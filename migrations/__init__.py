"""The schema, as the steps that make it. Nothing else makes a table; a test holds it equal to the models."""
