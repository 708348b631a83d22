"""A crawl of many hosts at once, each as slowly as its robots.txt asks, and each page once."""
