"""Two runs, or two models, as one HTML file: what differs, and pictures of where."""
