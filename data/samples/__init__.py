"""Real order histories, written out in the CSV contract, so that they come in as any shop's orders would."""
