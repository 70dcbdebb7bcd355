"""The methods of the classes that model files hold, read from the sources of their releases."""
