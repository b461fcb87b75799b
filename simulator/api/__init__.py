"""Dhan's REST endpoints: one module an area, behind the guard that every call passes."""
