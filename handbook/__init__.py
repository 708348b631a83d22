"""The documents as a site: the pages of the reference that are made from the code, and the site that is made from all pages.

It imports the product, and nothing imports it but its tests. Nothing here is installed.
"""
