"""Why, and is it the truth? The room that reads what the platform recorded and answers for it.

Replay of a day, the story of one trade, the ledger, charges and score cards belong here. It reads
topics and the database and imports the pure cores of the three services, so that it judges by the
same code that acted. It may never write any `ats.*` topic but the ledger's: who checks the books
does not keep them.
"""
