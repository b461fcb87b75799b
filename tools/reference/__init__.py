"""Writes the reference pages of the documentation from the code.

Run it as `python -m tools.reference docs/reference`. The pages are made when the site is built and
are not committed, so that no page can lag behind the code. Nothing of the product imports this
package; it reads the repository around it.
"""
