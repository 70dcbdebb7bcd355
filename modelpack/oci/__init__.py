"""Images as the OCI specifications have them: read and written without any engine."""

from modelpack.oci.image import Blob, Image, Layer
from modelpack.oci.locations import open_image

__all__ = ["Blob", "Image", "Layer", "open_image"]
