"""Models as old releases saved them: to be packaged, and to learn what loads where."""
