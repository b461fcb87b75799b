"""Draws how the platform is doing for a terminal: `ats status` and `ats top`.

What it draws is `ats.gateway.platform`'s fold; `ats.commands.status` reads Kafka.
"""
