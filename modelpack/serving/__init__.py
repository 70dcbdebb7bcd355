"""What runs in the image: a model behind HTTP.

Ordinary Python for 3.7 and later, copied word for word into every bundle. It imports nothing of
modelpack outside this folder, and this file imports nothing at all, so that
`python -m modelpack.serving.health` starts at once.
"""
