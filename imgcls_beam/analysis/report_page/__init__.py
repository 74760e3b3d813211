"""A run as one HTML file: facts of its rows, small pictures of some images, and the page."""
