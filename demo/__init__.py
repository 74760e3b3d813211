"""A small model, a folder of pictures to classify with it, and the scripts that make both."""
