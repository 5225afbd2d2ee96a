"""The HTTP door: webhooks, unsubscribing, campaign pages."""
