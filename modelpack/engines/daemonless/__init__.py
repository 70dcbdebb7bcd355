"""Images assembled from layers, without a daemon (`--engine oci`)."""
