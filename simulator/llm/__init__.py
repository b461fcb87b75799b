"""An OpenAI-compatible endpoint with a scripted model behind it."""
