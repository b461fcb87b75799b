"""How the platform is doing, as the topics tell it: `ats status` and `ats top`.

The fold and the report are pure; `ats.commands.status` reads Kafka and draws.
"""
