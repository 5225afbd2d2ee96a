"""SendGrid, to the letter of its v3 API."""
