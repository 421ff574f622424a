"""``genesis explore``: what the compiler did to the steps of a script, as one page for a browser.

``model`` gathers the data from ``stages``, ``code``, ``timing`` and ``memory``; ``page`` writes it with the files of
``assets`` into one HTML file.
"""
