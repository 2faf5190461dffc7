"""How far a flow is from the optimizer: estimates and bounds."""
