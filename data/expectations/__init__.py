"""The validation gate: what must hold of orders, features and audience before anything is sent."""
