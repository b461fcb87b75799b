"""Write every file that is made from the JSON Schemas."""

from __future__ import annotations

from tools.messages.files import FILES

for path, content in FILES.items():
    path.write_text(content(), encoding="utf-8")
