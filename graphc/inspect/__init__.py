"""Looking into a step: what it is made of, what it costs, why it refused a call."""
