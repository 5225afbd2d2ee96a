"""Facts about each customer: computed from orders, stored one row a customer, read back as a frame."""
