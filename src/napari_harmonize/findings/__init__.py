"""The findings of the four papers, measured again on simulated subjects nobody trained on: the job behind ``benchmark`` and its page.

A section is a row of ``sections.SECTIONS``: which tasks, which ways of translating (a model and its settings, or a baseline),
which numbers, and which claims of a paper they bear on. Importing this folder loads no torch.
"""
