"""The gateway: Dhan's WebSocket feed becomes `ats.ticks`, normalised once, at the border."""
