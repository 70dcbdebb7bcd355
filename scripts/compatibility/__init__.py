"""Real models that others published: their options, requests and expected responses."""
