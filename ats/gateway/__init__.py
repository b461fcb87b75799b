"""The read gateway: what browsers are shown of the topics, each user their own and what is public.

The folds (`market`, `own`, `board`), what one viewer is sent next (`viewer`), who may look
(`access`) and the budget of questions are pure; `server` and `keys` are the shell around them.
"""
