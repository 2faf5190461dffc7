"""What flows keep, and how fast the optimizer loses it."""
