"""Real models that others published: what each needs, what it is asked, what it must answer."""
